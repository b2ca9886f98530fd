"""One unit's connection: taken from the pool when first needed, given back at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.domain.errors import UnitOfWorkFailed
from noteflow.infrastructure.persistence.driver import PooledDriver, driver_of
from noteflow.infrastructure.persistence.faults import Outraced, raise_translated, translated
from noteflow.infrastructure.persistence.statement import Composed, Write, compose
from noteflow.infrastructure.persistence.tracing import sql_span

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class Transaction:
    """At most one connection, at most one open transaction on it, and the writes deferred to its end.

    Where deferred writes are all there is, the commit sends them as one statement that is a transaction by itself: one
    round trip in place of three. A `glance` before it needs no transaction either.
    """

    def __init__(self, engine: AsyncEngine, *, shut: bool = False) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._begun = False
        self._shut = shut
        self._refuses = shut  # either of the two, so that a statement looks at one thing only
        self._deferred: list[Write] = []
        self._gated = False

    def open(self) -> None:
        """Take statements from now on."""
        self._shut = self._refuses = False

    async def shut(self) -> None:
        """Take no statement any more, undo everything since the last commit and give the connection back."""
        self._shut = True
        await self.rollback()

    def check(self) -> None:
        """Raise if no statement can be taken now: after an error, or outside the unit's `async with`."""
        if self._refuses:
            self._refuse()

    def defer(self, write: Write, *, gates: bool = False) -> None:
        """Send `write` before the next statement, or at the commit; with `gates` the others depend on it."""
        if self._refuses:
            self._refuse()
        if write not in self._deferred:
            self._deferred.append(write)
        self._gated |= gates

    def defers(self, kind: type[Write]) -> bool:
        """Whether a write of this kind is deferred already."""
        return any(isinstance(write, kind) for write in self._deferred)

    async def run(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """Run a statement after all that was deferred, within the transaction, which it opens."""
        await self.flush()
        return await self._execute(statement, parameters)

    async def glance(self, sql: str, *values: Any) -> Sequence[Mapping[str, Any]]:
        """The rows of a query, read at once: within the transaction if there is one, without opening one."""
        await self.flush()
        return await self._fetch(sql, *values)

    async def flush(self) -> None:
        """Send what was deferred, within the transaction."""
        self.check()
        if self._deferred:
            writes = self._take_deferred()
            composed = compose(writes, gated=self._gated)
            values = {name: value for write in writes for name, value in write.values().items()}
            row = (await self._execute(composed.clause, values)).one()._asdict()
            for write in writes:
                write.written(row)

    async def flush_or_commit(self) -> bool:
        """Send what was deferred: within the transaction if one was begun, else as one that is thereby committed.

        Says whether it was committed.
        """
        if self._begun:
            await self.flush()
            return False
        await self.commit()
        return True

    async def commit(self) -> None:
        """Make everything since the last commit permanent, or raise. After an error only a rollback helps."""
        self.check()
        if not self._begun:
            await self._write_alone()
            return
        await self.flush()
        assert self._connection is not None
        try:
            with sql_span(self._engine.url, "COMMIT"):
                await self._connection.commit()
        except BaseException as error:
            self._fail(error)
        self._begun = self._gated = False

    async def rollback(self) -> None:
        """Undo everything since the last commit and give the connection back."""
        self._refuses = self._shut
        self._begun = self._gated = False
        self._deferred.clear()
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        with translated():
            # Closing rolls back; it must go on when the attempt is cancelled, or the pool would lose a place.
            await asyncio.shield(connection.close())

    async def _execute(self, statement: Executable, parameters: Parameters) -> CursorResult[Any]:
        self.check()
        try:
            connection = await self._connected()
            self._begun = True
            with sql_span(self._engine.url, statement):
                return await connection.execute(statement, parameters)
        except BaseException as error:
            self._fail(error)

    async def _write_alone(self) -> None:
        if not self._deferred:
            return
        writes, gated = self._take_deferred(), self._gated
        self._gated = False
        hopeful = compose(writes, gated=gated, hopes=True)
        values = {name: value for write in writes for name, value in write.values().items()}
        try:
            row = await self._fetch_composed(hopeful, values)
        except Outraced:
            self._refuses = False  # it was a transaction by itself, of which nothing is left
            row = await self._fetch_composed(compose(writes, gated=gated), values)
        for write in writes:
            write.written(row)

    async def _fetch_composed(self, composed: Composed, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return (await self._fetch(composed.sql, *(values[name] for name in composed.names)))[0]

    def _take_deferred(self) -> list[Write]:
        writes, self._deferred = self._deferred, []
        return writes

    async def _connected(self) -> AsyncConnection:
        if self._connection is None:
            self._connection = await self._engine.connect()
        return self._connection

    async def _fetch(self, sql: str, *values: Any) -> Sequence[Mapping[str, Any]]:
        """The rows of a statement: within the transaction if there is one, else of one that is a transaction itself."""
        try:
            if self._connection is not None:
                driver = await driver_of(self._connection)
                with sql_span(self._engine.url, sql):
                    return await driver.fetch(sql, *values)
            async with PooledDriver(self._engine) as driver:
                with sql_span(self._engine.url, sql):
                    return await driver.fetch(sql, *values)
        except BaseException as error:
            self._fail(error)

    def _fail(self, error: BaseException) -> NoReturn:
        """Let nothing be committed any more, and raise what the error means."""
        self._refuses = True
        raise_translated(error)

    def _refuse(self) -> NoReturn:
        if self._shut:
            # Nobody would give the connection back, nor its locks.
            raise RuntimeError("the unit of work is not open: use it within its `async with`")
        # PostgreSQL answers the COMMIT of a failed transaction with a silent ROLLBACK: an error that was swallowed on
        # the way must not look like a success.
        raise UnitOfWorkFailed("an earlier statement of this unit of work failed; roll it back first")
