"""One unit's connection: taken from the pool when first needed, given back at the end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from sqlalchemy import CursorResult, Executable
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.domain.errors import UnitOfWorkFailed
from noteflow.infrastructure.persistence.faults import READ_ONLY, sqlstate_of, translated

Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None


class DeferredWrite(Protocol):
    """Writes collected to be one statement, sent when something must see them."""

    def statement(self) -> tuple[Executable, Mapping[str, Any]] | None:
        """The statement and its parameters, or None when nothing was collected. Collecting begins anew."""

    def written(self, result: CursorResult[Any]) -> None:
        """Take in what the statement answered."""


class Transaction:
    """At most one open transaction on at most one connection, with the writes deferred to its end.

    Where the deferred writes are all there is, the commit sends them as one statement that commits itself: one round
    trip in place of three.
    """

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._connection: AsyncConnection | None = None
        self._deferred: DeferredWrite | None = None
        self._failed = False

    def defer(self, write: DeferredWrite) -> None:
        """Send `write` before the next statement, or at the commit."""
        self._deferred = write

    async def run(self, statement: Executable, parameters: Parameters = None) -> CursorResult[Any]:
        """Run a statement after all that was deferred, within the transaction, which it opens."""
        await self.flush()
        return await self._execute(statement, parameters)

    async def flush(self) -> None:
        """Send what was deferred, within the transaction."""
        if self._deferred is not None and (due := self._deferred.statement()):
            write, self._deferred = self._deferred, None
            write.written(await self._execute(*due))

    async def commit(self) -> None:
        """Make everything since the last commit permanent, or raise. After an error only a rollback helps."""
        self._check()
        if self._connection is None:
            await self._write_alone()
            return
        await self.flush()
        with translated(), self._noting_failure():
            await self._connection.commit()

    async def rollback(self) -> None:
        """Undo everything since the last commit and give the connection back."""
        self._failed = False
        if self._deferred is not None:
            self._deferred.statement()
            self._deferred = None
        if self._connection is None:
            return
        connection, self._connection = self._connection, None
        with translated():
            # Closing rolls back; it must go on when the attempt is cancelled, or the pool would lose a place.
            await asyncio.shield(connection.close())

    async def _execute(self, statement: Executable, parameters: Parameters) -> CursorResult[Any]:
        self._check()
        with translated(), self._noting_failure():
            if self._connection is None:
                self._connection = await self._engine.connect()
            try:
                return await self._connection.execute(statement, parameters)
            except Exception as error:
                await _forsake_read_only(self._connection, error)
                raise

    async def _write_alone(self) -> None:
        if self._deferred is None or not (due := self._deferred.statement()):
            return
        write, self._deferred = self._deferred, None
        with translated(), self._noting_failure():
            async with self._engine.connect() as connection:
                await connection.execution_options(isolation_level="AUTOCOMMIT")
                try:
                    write.written(await connection.execute(*due))
                except Exception as error:
                    await _forsake_read_only(connection, error)
                    raise

    @contextmanager
    def _noting_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self._failed = True
            raise

    def _check(self) -> None:
        # PostgreSQL answers the COMMIT of a failed transaction with a silent ROLLBACK: an error that was swallowed on
        # the way must not look like a success.
        if self._failed:
            raise UnitOfWorkFailed("an earlier statement of this unit of work failed; roll it back first")


async def _forsake_read_only(connection: AsyncConnection, error: Exception) -> None:
    # After a failover this connection would stay with the old primary for ever.
    if sqlstate_of(error) == READ_ONLY:
        await connection.invalidate(error)
