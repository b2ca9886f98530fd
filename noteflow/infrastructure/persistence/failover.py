"""After a failover, no connection stays with a server that is read-only.

A connection leads to whoever answered at the address when it was opened. If the old primary lives on, or the address
led to a standby for a moment, that connection stays there for as long as they live: it refuses every write, and answers
every question with the past. So where one is found to lead to a read-only server, all that are open then are given up.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from sqlalchemy import event
from sqlalchemy.engine import ExceptionContext
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import ConnectionPoolEntry, PoolProxiedConnection

from noteflow.infrastructure.persistence.faults import READ_ONLY, sqlstate_of

_GIVEN_UP = "given up"


class LeadsElsewhere(Exception):
    """What to invalidate a connection with that must not be used, so that all others go with it."""


class FoundReadOnly(LeadsElsewhere):
    """The same, when it was found to be read-only in another way than by being refused."""

    sqlstate = READ_ONLY


def give_up_where_read_only(engine: AsyncEngine) -> None:
    """From now on, with a connection that is invalidated for being read-only, or as LeadsElsewhere, all others go.

    Those that rest are closed at once, those in use when they come back. A statement that is refused for this reason
    invalidates its connection by itself.
    """
    entries: WeakSet[ConnectionPoolEntry] = WeakSet()

    def opened(_connection: object, entry: ConnectionPoolEntry) -> None:
        entries.add(entry)

    def invalidated(_connection: object, _entry: object, reason: BaseException | None) -> None:
        if isinstance(reason, LeadsElsewhere) or (reason is not None and sqlstate_of(reason) == READ_ONLY):
            for entry in list(entries):
                entry.info[_GIVEN_UP] = True
                if not entry.in_use:
                    _close(entry)

    def came_back(_connection: object, entry: ConnectionPoolEntry) -> None:
        if entry.info.get(_GIVEN_UP):
            _close(entry)

    def failed(context: ExceptionContext) -> None:
        if sqlstate_of(context.original_exception) == READ_ONLY:
            context.is_disconnect = True

    event.listen(engine.sync_engine, "connect", opened)
    event.listen(engine.sync_engine, "invalidate", invalidated)
    event.listen(engine.sync_engine, "checkin", came_back)
    event.listen(engine.sync_engine, "handle_error", failed)


def is_given_up(pooled: PoolProxiedConnection) -> bool:
    """Whether it must not be used any longer. For those who keep a connection for themselves."""
    return bool(pooled.info.get(_GIVEN_UP))


def _close(entry: ConnectionPoolEntry) -> None:
    # Not `invalidate`, which waits, while somebody may take it out of the pool. A closed one is never handed out.
    driver: Any = entry.driver_connection
    if driver is not None:
        driver.terminate()
