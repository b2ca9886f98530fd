"""Hold one connection for the worker's scripts, from one call to the next.

A pool looks whether a connection is still good each time it lends one. That takes turns of the loop, and on a busy loop
a turn is as long as all the jobs that are ready: a claim would leave when they have run, and Redis and the jobs would
work one after the other instead of side by side. So the connection is kept while calls follow each other closely. It
goes back to the pool when they do not, or when another server may answer by now.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

import hiredis
from redis.exceptions import NoScriptError, ResponseError

from worker.engine.scripts import script

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio import ConnectionPool
    from redis.asyncio.connection import AbstractConnection

    Commands = Sequence[tuple[Any, ...]]
    Lost = Callable[[AbstractConnection, Exception], Awaitable[None]]

_REST_S: Final = 0.1


async def _close_and_raise(connection: AbstractConnection, error: Exception) -> None:
    await connection.disconnect(nowait=True)
    raise error


class Conversation:
    """Run script calls over a connection of the pool that `pool` returns; one call at a time.

    `names` are the scripts that are taught to a server which does not know one of them. `lost` is told of each error of
    the connection, and raises it unless the pool was told to retry.
    """

    def __init__(self, pool: Callable[[], ConnectionPool], names: Sequence[str], lost: Lost = _close_and_raise) -> None:
        self._pool = pool
        self._names = tuple(names)
        self._lost = lost
        self._lender: ConnectionPool | None = None
        self._connection: AbstractConnection | None = None
        self._used_at = 0.0
        self._renew = False

    @property
    def come(self) -> int:
        """Return how many bytes have come of an answer that is not whole yet."""
        reader = getattr(getattr(self._connection, "_parser", None), "_reader", None)
        return int(reader.len()) if isinstance(reader, hiredis.Reader) else 0

    async def call(self, commands: Commands, again: Callable[[], Commands] | None = None) -> list[Any]:
        """Return the answers in order, an error of the server among them as a value; raise what the connection does.

        Where the pool was told to retry, `again` returns what to say instead: a claim must not be made twice.
        """
        connection = await self._ready()

        async def lost(error: Exception) -> None:
            nonlocal commands
            await self._lost(connection, error)
            commands = again() if again is not None else commands

        answers = await connection.retry.call_with_retry(lambda: self._exchange(connection, commands), lost)
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            await self._exchange(connection, [("SCRIPT", "LOAD", script(name).text) for name in self._names])
            # Only these: a claim that was answered must not be made twice.
            for i, answer in zip(
                unknown, await self._exchange(connection, [commands[i] for i in unknown]), strict=True
            ):
                answers[i] = answer
        return answers

    async def end(self) -> None:
        """Give the connection back to its pool; the next call takes one anew. Not while a call is under way."""
        lender, connection, renew = self._lender, self._connection, self._renew
        self._lender = self._connection = None
        self._renew = False
        if lender is not None and connection is not None:
            if renew:
                await connection.disconnect(nowait=True)
            await lender.release(connection)

    def renew(self) -> None:
        """Connect anew for the next call."""
        self._renew = True

    async def _exchange(self, connection: AbstractConnection, commands: Commands) -> list[Any]:
        # As a pipeline does, but packed by hiredis, for a group of endings has a thousand arguments. If we are cut off
        # in between, redis-py closes the connection: no answer is taken for another call's.
        await connection.send_packed_command([hiredis.pack_command(command) for command in commands])
        answers = [await _answer(connection) for _ in commands]
        self._used_at = time.monotonic()
        return answers

    async def _ready(self) -> AbstractConnection:
        if self._renew or time.monotonic() - self._used_at > _REST_S:
            await self.end()
        if self._connection is None:
            pool = self._pool()
            self._connection, self._lender = await pool.get_connection(), pool
        return self._connection


async def _answer(connection: AbstractConnection) -> Any:
    try:
        return await connection.read_response()
    except ResponseError as error:
        return error
