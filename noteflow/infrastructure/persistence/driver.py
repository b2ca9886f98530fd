"""The driver itself, for the statements of the hot path: a third of the price of going through SQLAlchemy's Core."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.domain.errors import StorageUnavailable
from noteflow.infrastructure.persistence.engine import checked_out
from noteflow.infrastructure.persistence.faults import READ_ONLY, sqlstate_of


class Driver:
    """An asyncpg connection out of SQLAlchemy's pool. Outside a transaction each statement is one by itself."""

    def __init__(self, pooled: Any) -> None:
        self._pooled = pooled

    @property
    def session_at_start(self) -> int:
        """The number of the session that the connection was told at its start: what a pooler answered, if one did."""
        number: int = self._pooled.driver_connection.get_server_pid()
        return number

    def give_up(self, reason: Exception) -> None:
        """Never use the connection again."""
        self._pooled.invalidate(reason)

    async def fetch(self, sql: str, *values: Any) -> Sequence[Mapping[str, Any]]:
        """The rows of a statement. A connection that is not sound afterwards never goes back to the pool."""
        asyncpg_connection = self._pooled.driver_connection
        try:
            rows: Sequence[Mapping[str, Any]] = await asyncpg_connection.fetch(sql, *values)
        except Exception as error:
            if asyncpg_connection.is_closed():
                self._pooled.invalidate(error)
                raise StorageUnavailable("the connection to PostgreSQL was lost") from error
            if sqlstate_of(error) == READ_ONLY:
                self._pooled.invalidate(error)
            raise
        except BaseException as interruption:
            self._pooled.invalidate(interruption)
            raise
        return rows


async def driver_of(connection: AsyncConnection) -> Driver:
    """The driver below a connection; it takes part in the connection's transaction, if one was begun."""
    return Driver(await connection.get_raw_connection())


class PooledDriver:
    """A connection for as long as it is needed. A class: a generator's context manager takes five times as long."""

    __slots__ = ("_engine", "_pooled")

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def __aenter__(self) -> Driver:
        self._pooled = await checked_out(self._engine)
        return Driver(self._pooled)

    async def __aexit__(self, *_: object) -> None:
        self._pooled.close()
