"""A connection that is closed just before it is written to: uvloop says so in a way of its own."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import pytest
from redis.asyncio import ConnectionPool, Redis

from worker.engine.connections import call_scripts
from worker.engine.outage import UNREACHABLE

uvloop = pytest.importorskip("uvloop", reason="there is none for Windows") if sys.platform != "win32" else None


class ClosesUnderOurHands(ConnectionPool):
    """Hands out connections that end before their first word."""

    async def get_connection(self, *arguments: Any, **options: Any) -> Any:
        connection = await super().get_connection(*arguments, **options)
        connection._writer.transport.abort()
        while not connection._writer.transport.is_closing():
            await asyncio.sleep(0)
        await asyncio.sleep(0.01)  # uvloop closes its handle in a later turn of the loop and tells nobody
        return connection


@pytest.mark.parametrize("commands", [[("PING",)], [("PING",), ("PING",)]], ids=["one", "several"])
def test_a_worker_takes_it_for_an_outage(redis_url: str, commands: list[tuple[str]]) -> None:
    async def scenario() -> None:
        pool = ClosesUnderOurHands.from_url(redis_url)
        redis: Any = Redis(connection_pool=pool)
        with pytest.raises(UNREACHABLE):
            await call_scripts(redis, list(commands), ())
        await redis.aclose()
        await pool.disconnect()

    assert uvloop is not None
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scenario())
