"""The engine: one pool of connections, every wait bounded and named."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import event
from sqlalchemy.exc import InvalidatePoolError, MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.pool import PoolProxiedConnection, QueuePool
from sqlalchemy.util.concurrency import in_greenlet

from noteflow.infrastructure.persistence.failover import give_up_where_read_only
from noteflow.infrastructure.persistence.faults import name_the_server
from noteflow.infrastructure.persistence.urls import address_of, parse_database_url

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from sqlalchemy import Dialect
    from sqlalchemy.pool import ConnectionPoolEntry


ISOLATION: Final = "read committed"
"""Of every transaction, also of a statement that is one by itself. After a lock that it waited for, a statement must
see what was committed meanwhile: so parking, relays and the comparison of versions are built."""

_AT_ONCE: Final = "noteflow_lets_go_at_once"
_SETTINGS: Final = "noteflow_session_settings"


def create_engine(
    url: str,
    *,
    pool_size: int = 10,
    max_overflow: int = 0,
    pool_timeout_s: float = 30.0,
    pool_pre_ping: bool = True,
    connect_timeout_s: float = 5.0,
    command_timeout_s: float = 10.0,
    lock_timeout_s: float = 5.0,
    idle_in_transaction_timeout_s: float = 30.0,
    application_name: str = "noteflow",
) -> AsyncEngine:
    """An engine for `url`, in any of the spellings people use (see `parse_database_url`). Connects to nothing yet.

    `pool_pre_ping` asks a connection whether it lives, at the price of a round trip, each time it leaves the pool. With
    or without it, a connection whose end this process has already been told of is never handed out.
    """
    address = parse_database_url(url)
    settings = {
        "application_name": application_name,
        "default_transaction_isolation": ISOLATION,  # whatever the server's, the database's or the role's is
        "lock_timeout": _milliseconds(lock_timeout_s),
        "idle_in_transaction_session_timeout": _milliseconds(idle_in_transaction_timeout_s),
    }
    engine = create_async_engine(
        address.url,
        pool_size=pool_size,
        max_overflow=max_overflow,
        pool_timeout=pool_timeout_s,
        pool_pre_ping=pool_pre_ping,
        pool_use_lifo=True,  # the connection that was used last has its statements prepared; the others may rest
        hide_parameters=True,  # or a transcript's text would stand in every error's message
        connect_args={
            **address.connect_arguments(),
            "timeout": connect_timeout_s,
            "command_timeout": command_timeout_s,
            "server_settings": {**address.server_settings(), **settings},
        },
    )
    engine.sync_engine.update_execution_options(**{_SETTINGS: settings})
    event.listen(engine.sync_engine, "checkout", _refuse_closed)
    if not pool_pre_ping:
        event.listen(engine.sync_engine, "do_connect", _refuse_to_connect_at_once)
        engine.sync_engine.update_execution_options(**{_AT_ONCE: True})
    event.listen(engine.sync_engine, "do_connect", partial(_connect, address_of(engine.url)))
    give_up_where_read_only(engine)
    return engine


async def checked_out(engine: AsyncEngine) -> PoolProxiedConnection:
    """A connection out of the pool. One that rests there is taken at once: being able to wait costs four times that."""
    pool = engine.sync_engine.pool
    if isinstance(pool, QueuePool) and pool.checkedin() and _lets_go_at_once(engine):
        with suppress(MissingGreenlet):  # it was closed while it rested, and a new one has to be waited for
            return engine.sync_engine.raw_connection()
    return await engine.raw_connection()


def create_session_factory(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """The factory a unit of work is given."""
    return async_sessionmaker(engine, expire_on_commit=False)


def session_settings_of(engine: AsyncEngine) -> Mapping[str, str]:
    """What the engine's sessions ask for at their start; empty for an engine that another made."""
    settings: Mapping[str, str] = engine.sync_engine.get_execution_options().get(_SETTINGS, {})
    return settings


def _milliseconds(seconds: float) -> str:
    return str(round(seconds * 1000))


def _refuse_closed(dbapi_connection: Any, _entry: ConnectionPoolEntry, _fairy: object) -> None:
    # The event loop learns of a closed socket while the connection rests in the pool. Looking costs nothing, and
    # where one connection was closed the others of its age were too.
    if dbapi_connection.driver_connection.is_closed():
        raise InvalidatePoolError


def _refuse_to_connect_at_once(*_: object) -> None:
    if not in_greenlet():
        raise MissingGreenlet("connecting has to be waited for")


def _connect(address: str, dialect: Dialect, _entry: object, arguments: Sequence[Any], named: dict[str, Any]) -> Any:
    # Neither the driver nor the operating system says where nobody was found.
    try:
        return dialect.connect(*arguments, **named)
    except Exception as error:
        name_the_server(error, address)
        raise


def _lets_go_at_once(engine: AsyncEngine) -> bool:
    # Nothing that must be awaited happens on the way out of the pool, as a ping would; and where a connection must be
    # made after all, our listener says so before half of one is, which nobody would await.
    return _AT_ONCE in engine.sync_engine.get_execution_options()
