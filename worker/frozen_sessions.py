"""Ends sessions that froze in the middle of a statement, together with the locks they hold.

A driver names a statement first and gives its values next. A worker that is stopped in between (SIGSTOP, a paused
machine, a network gone silent) leaves a session that waits for it and yet counts as active: neither
`idle_in_transaction_session_timeout` nor `statement_timeout` ever ends it, and a meeting, or the whole outbox, would
have to wait until that worker comes back.
"""

from __future__ import annotations

import asyncio
import random

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import FilteringBoundLogger

from noteflow.infrastructure.persistence.faults import translation_of


class FrozenSessions:
    """Looks for them in this database, among the workers' sessions of this role, and ends those older than `after_s`.

    Every worker does so; ending one twice is harmless.
    """

    def __init__(self, engine: AsyncEngine, log: FilteringBoundLogger, *, after_s: float) -> None:
        self._engine = engine
        self._log = log
        self._after_s = after_s

    async def run(self) -> None:
        """Look now and then, for ever."""
        while True:
            await asyncio.sleep(random.uniform(self._after_s / 4, self._after_s / 2))  # noqa: S311  # not a secret
            try:
                for name in await end_frozen(self._engine, self._after_s):
                    self._log.warning("storage.frozen_session_ended", session=name, after_s=self._after_s)
            except Exception as error:
                if (known := translation_of(error)) is None:
                    raise
                # Others say that PostgreSQL is away; this goes on looking.
                self._log.debug("storage.not_looked", reason=str(known))


async def end_frozen(engine: AsyncEngine, after_s: float) -> list[str]:
    """End them, and return their names: the workers' host and pid."""
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        return list(await connection.scalars(text(_END), {"after_s": after_s}))


# Found first, ended then: within one WHERE the planner would be free to end sessions before it looks at their age.
_END = """
    WITH frozen AS MATERIALIZED (
        SELECT pid, application_name FROM pg_stat_activity
        WHERE datname = current_database() AND usename = current_user AND application_name LIKE 'noteflow-worker %'
          AND state = 'active' AND wait_event = 'ClientRead' AND xact_start IS NOT NULL
          AND state_change < clock_timestamp() - make_interval(secs => :after_s)
    )
    SELECT application_name FROM frozen WHERE pg_terminate_backend(pid)
"""
