"""Whether a connection pooler lies between, through which our sessions are not our own.

A pooler in transaction mode gives each transaction another session: what was prepared, set or listened to in one is
gone in the next, or another client's. One in session mode may drop the settings that a session begins with. Both answer
simple questions well, so they have to be looked for.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.errors import StorageMisconfigured
from noteflow.infrastructure.persistence.driver import Driver, PooledDriver
from noteflow.infrastructure.persistence.engine import session_settings_of
from noteflow.infrastructure.persistence.failover import LeadsElsewhere
from noteflow.infrastructure.persistence.faults import sqlstate_of, translated
from noteflow.infrastructure.persistence.urls import address_of

_ROUNDS: Final = 5
_LOST_STATEMENT: Final = frozenset({"26000", "42P05"})
BETWEEN: Final = "a connection pooler lies between"
"""How every doubt of this kind begins."""

_SHARES: Final = f"{BETWEEN} and shares our sessions with other clients (transaction pooling)"
_DROPS: Final = f"{BETWEEN} and drops the settings of our sessions"


async def pooler_doubt(engine: AsyncEngine) -> str | None:
    """Why the sessions of an engine of `create_engine` are not its own, without secrets; None if they are.

    A direct connection is asked once. Where the server's number of the session is not the one that the connection was
    told at its start, something lies between: then a second connection is opened, and each is asked in turn which
    session it has. Raises what the driver raises.
    """
    try:
        async with PooledDriver(engine) as first:
            doubt = await _doubt(engine, first)
            if doubt is not None:
                # The next question must reach what answers at this address then, and not the pooler again.
                first.give_up(LeadsElsewhere())
    except Exception as error:
        if sqlstate_of(error) not in _LOST_STATEMENT:
            raise
        doubt = _SHARES
    return doubt


async def refuse_pooler(engine: AsyncEngine) -> None:
    """Raise StorageMisconfigured if the engine's sessions are not its own, or what else keeps it from the server."""
    with translated():
        doubt = await pooler_doubt(engine)
    if doubt is not None:
        raise StorageMisconfigured(f"PostgreSQL at {address_of(engine.url)} cannot be used: {doubt}")


async def _doubt(engine: AsyncEngine, first: Driver) -> str | None:
    (row,) = await first.fetch(_ASK)
    asked = session_settings_of(engine)
    if dropped := [name for name in _NAMES if asked.get(name) not in (None, row[name])]:
        return f"{_DROPS} ({', '.join(dropped)})"
    if row["session"] != first.session_at_start and await _is_shared(engine, first):
        return _SHARES
    return None


async def _is_shared(engine: AsyncEngine, first: Driver) -> bool:
    of_first, of_second = set[Any](), set[Any]()
    async with PooledDriver(engine) as second:
        for _ in range(_ROUNDS):
            of_first.add((await first.fetch(_SESSION))[0]["session"])
            of_second.add((await second.fetch(_SESSION))[0]["session"])
    return len(of_first) > 1 or len(of_second) > 1 or bool(of_first & of_second)


_NAMES: Final = ("lock_timeout", "idle_in_transaction_session_timeout", "default_transaction_isolation")
_SESSION: Final = "SELECT pg_backend_pid() AS session"
# In milliseconds, as they were asked for; the server shows them in the largest unit that fits.
_ASK: Final = """
    SELECT pg_backend_pid() AS session,
           CAST(CAST(extract(epoch FROM CAST(current_setting('lock_timeout') AS interval)) * 1000 AS bigint) AS text)
               AS lock_timeout,
           CAST(CAST(extract(epoch FROM CAST(current_setting('idle_in_transaction_session_timeout') AS interval))
                * 1000 AS bigint) AS text) AS idle_in_transaction_session_timeout,
           current_setting('default_transaction_isolation') AS default_transaction_isolation
"""
