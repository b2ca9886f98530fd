"""How long an answer is waited for, and what does not count."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator

import pytest
import uvloop

from worker.engine.patience import patience

Ends = tuple[socket.socket, asyncio.StreamReader]


@pytest.fixture
async def ends() -> AsyncIterator[Ends]:
    """A server's end of a connection, and what its client reads."""
    server, client = socket.socketpair()
    reader, writer = await asyncio.open_connection(sock=client)
    with server:
        yield server, reader
        writer.close()
        await writer.wait_closed()


async def test_an_answer_that_does_not_come_is_given_up(ends: Ends) -> None:
    _, reader = ends
    with pytest.raises(TimeoutError):
        async with patience(0.05):
            await reader.read(1)


async def read_on_a_blocked_loop(server: socket.socket, reader: asyncio.StreamReader) -> bytes:
    async with patience(0.05):
        asyncio.get_running_loop().call_soon(_block, server)
        return await reader.read(1)


def _block(server: socket.socket) -> None:
    server.send(b"!")
    time.sleep(0.1)


async def test_time_in_which_the_loop_stands_still_does_not_count(ends: Ends) -> None:
    assert await read_on_a_blocked_loop(*ends) == b"!"


def test_that_holds_for_a_loop_that_looks_at_its_clock_first() -> None:
    async def read() -> bytes:
        server, client = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=client)
        with server:
            answer = await read_on_a_blocked_loop(server, reader)
        writer.close()
        await writer.wait_closed()
        return answer

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        assert runner.run(read()) == b"!"


async def test_a_connection_that_was_closed_under_our_hands_is_lost() -> None:
    with pytest.raises(ConnectionError):
        async with patience(1):
            raise RuntimeError("unable to perform operation on <UnixTransport closed=True>; the handler is closed")


async def test_being_cancelled_is_no_impatience() -> None:
    async def wait() -> None:
        async with patience(5):
            await asyncio.Event().wait()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
