"""Knows whether PostgreSQL can be written to, and holds the queue back while it cannot."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from contextvars import Context

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import FilteringBoundLogger

from noteflow.infrastructure.persistence.failover import FoundReadOnly
from noteflow.infrastructure.persistence.faults import NO_ROOM, sqlstate_of, translation_of
from noteflow.infrastructure.persistence.pooler import BETWEEN, pooler_doubt
from worker.engine.gate import Gate
from worker.engine.supervision import supervise
from worker.storage_room import Trial, room_doubt

REASON = "postgresql"
"""Why the gate is closed; of a server without room, what it says follows."""

_IS_READ_ONLY = "it is read-only"


class StorageWatch:
    """Closes the gate at the first suspicion and asks PostgreSQL, with growing pauses, until it takes writes again.

    Without suspicion it asks nothing and costs nothing. What jobs found no room for, disk or memory, a question need
    not: then the gate is closed until they no longer find it so, and one of them after the other is let through.
    """

    def __init__(
        self, engine: AsyncEngine, gate: Gate, log: FilteringBoundLogger, *, longest_pause_s: float = 1.0
    ) -> None:
        self._engine = engine
        self._gate = gate
        self._log = log
        self._longest_pause_s = longest_pause_s
        self._probing: asyncio.Task[None] | None = None
        self._reason = REASON
        self._trial = Trial(gate)

    @property
    def is_up(self) -> bool:
        """Whether there is no reason to doubt it."""
        return self._probing is None

    def suspect(self, error: Exception | None = None) -> None:
        """An attempt could not reach PostgreSQL, or this is what it met. Returns at once; the asking goes on."""
        if self._probing is None:
            self._trial = Trial(self._gate)
            self._hold_back(REASON)
            # In a context of its own: what it tells is not about the job that happened to notice first.
            probing = supervise("postgresql watch", self._probe, self._gate, may_return=True)
            self._probing = asyncio.create_task(probing, context=Context())
        if error is not None and sqlstate_of(error) in NO_ROOM:
            self._trial.refused(str(error))
            self._hold_back(f"{REASON}: {error}")

    async def answered(self) -> None:
        """Return when there is no reason to doubt it."""
        while self._probing is not None:
            await asyncio.wait([self._probing])

    async def close(self) -> None:
        """Stop asking."""
        if self._probing is not None:
            self._probing.cancel()
            await asyncio.gather(self._probing, return_exceptions=True)

    def _hold_back(self, reason: str) -> None:
        before, self._reason = self._reason, reason
        self._gate.close(reason)
        if before != reason:
            self._gate.open(before)

    async def _doubt(self) -> str | None:
        asked_at = time.monotonic()
        if doubt := await storage_doubt(self._engine):
            if doubt.startswith(BETWEEN):  # it does not pass by itself, so the worker's record names it
                self._hold_back(f"{REASON}: {doubt}")
            return doubt
        if doubt := await room_doubt(self._engine):
            self._trial.seen()
            self._hold_back(f"{REASON}: {doubt}")
            return doubt
        return self._trial.doubt(asked_at)

    async def _probe(self) -> None:
        since, pause_s, told, led_elsewhere = time.monotonic(), 0.05, False, False
        while (doubt := await self._doubt()) is not None:
            if not told:
                self._log.warning("storage.down", reason=doubt)
                told = True
            led_elsewhere |= doubt == _IS_READ_ONLY or doubt.startswith(BETWEEN)
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311  # not a secret
            pause_s = min(self._longest_pause_s, pause_s * 2)
        if led_elsewhere:
            # Between two questions somebody may have opened connections that lead there still.
            await _give_up_all(self._engine)
        if told:
            self._log.warning("storage.up", away_s=round(time.monotonic() - since, 1))
        self._probing = None
        self._gate.open(self._reason)


async def storage_doubt(engine: AsyncEngine) -> str | None:
    """Why PostgreSQL takes no writes now, in words without secrets; None if it does."""
    try:
        if doubt := await pooler_doubt(engine):
            return doubt
        async with engine.connect() as connection:
            read_only = await connection.scalar(text("SELECT current_setting('transaction_read_only')"))
            await connection.execute(text("SELECT FROM job_ledger LIMIT 0"))  # without it nothing can be stored
            if read_only == "on":
                # The next question must reach whoever answers at this address then, not the old primary again.
                await connection.invalidate(FoundReadOnly())
    except Exception as error:  # whatever it is, it keeps us from storing anything
        return str(translation_of(error) or type(error).__name__)
    return _IS_READ_ONLY if read_only == "on" else None


async def _give_up_all(engine: AsyncEngine) -> None:
    with suppress(Exception):  # it was there a moment ago; if it is not, that is found out by whoever needs it
        async with engine.connect() as connection:
            await connection.invalidate(FoundReadOnly())
