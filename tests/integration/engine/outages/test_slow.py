"""A link that is slow and sound: what is large takes its time, and that is no outage."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.jobs import Ctx, put, put_many, serving
from tests.integration.engine.outages.conftest import Start
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis

BYTES_PER_S = 2_000_000
MUCH = BYTES_PER_S * 2 // 3  # more than passes in the time for which an answer is waited for


@pytest.fixture
async def slow_url(server: EmbeddedRedis) -> AsyncIterator[str]:
    """The server's URL, through a link that carries no more than so much."""

    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65_536):
                await asyncio.sleep(len(data) / BYTES_PER_S)
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(str(server.socket))
        with suppress(asyncio.CancelledError):
            await asyncio.gather(pass_on(reader, to_server), pass_on(from_server, writer))

    listener = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with listener:
        yield f"redis://127.0.0.1:{listener.sockets[0].getsockname()[1]}/0"


async def test_large_bodies_and_results_pass_and_hold_up_nobody(redis: ArqRedis, start: Start, slow_url: str) -> None:
    async def echo(ctx: Ctx, text: str) -> str:
        return text

    async def fine(ctx: Ctx) -> None:
        return

    worker = start([func(echo, name="echo"), func(fine, name="fine")], slow_url)
    async with serving(worker):
        await eventually(lambda: worker.idle)
        await put(redis, "large", "echo", "x" * MUCH)
        await put_many(redis, 5, "fine")
        await eventually(lambda: redis.exists("arq:result:large"), within_s=20)
        await eventually(lambda: worker.jobs_complete == 6)
        assert worker.outage.count == 0
    await worker.close()
