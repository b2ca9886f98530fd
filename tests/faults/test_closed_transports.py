"""A connection that is closed just before it is written to: each event loop says so in a way of its own."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from redis.asyncio import ConnectionPool, Redis

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.errors import QueueUnavailable
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.queue.client import JobClient
from worker.engine.conversation import Conversation
from worker.engine.outage import UNREACHABLE
from worker.engine.patience import patience

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

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


def run_on(loop: str, scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    factory = uvloop.new_event_loop if loop == "uvloop" else asyncio.new_event_loop  # type: ignore[union-attr]
    with asyncio.Runner(loop_factory=factory) as runner:
        runner.run(scenario())


every_loop = pytest.mark.parametrize("loop", ["uvloop", "asyncio"] if uvloop else ["asyncio"])


@every_loop
@pytest.mark.parametrize("commands", [[("PING",)], [("PING",), ("PING",)]], ids=["one", "several"])
def test_a_worker_takes_it_for_an_outage(redis_url: str, commands: list[tuple[str]], loop: str) -> None:
    async def scenario() -> None:
        pool = ClosesUnderOurHands.from_url(redis_url)
        with pytest.raises(UNREACHABLE):
            async with patience(5.0):
                await Conversation(lambda: pool, ()).call(commands)
        await pool.disconnect()

    run_on(loop, scenario)


@every_loop
def test_a_producer_is_told_that_repeating_is_safe(redis_url: str, loop: str) -> None:
    async def scenario() -> None:
        pool = ClosesUnderOurHands.from_url(redis_url)
        jobs = JobClient(Redis(connection_pool=pool))
        with pytest.raises(QueueUnavailable, match="repeating is safe"):
            await jobs.enqueue(ChangeMeetingState(MeetingId(uuid4()), MeetingState.RECORDING, 1))
        await pool.disconnect()

    run_on(loop, scenario)
