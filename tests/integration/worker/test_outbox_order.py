"""What was asked for reaches the queue in that order, each row once, in calls that are not too long."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any
from uuid import UUID

from redis.asyncio import Redis

from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.worker.asking import ask, queued
from tests.integration.worker.relays import relaying
from tests.integration.worker.stage import Stage, batch
from tests.waiting import eventually
from worker.outbox.dispatching import MOST_ROWS, Dispatched, dispatch_due

if TYPE_CHECKING:
    from noteflow.infrastructure.queue.dispatch import KeptJob


async def test_rows_reach_the_queue_in_the_order_in_which_they_were_asked_for(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    asked = await ask(stage, *(batch(met, place) for place in range(40)))
    assert asked != sorted(asked)
    await dispatch_due(stage.engine, Dispatcher(redis))
    assert await queued(redis) == asked
    later = await ask(stage, batch(met, 100))
    await dispatch_due(stage.engine, Dispatcher(redis))
    assert await queued(redis) == asked + later
    now_ms = (await redis.time())[0] * 1000 + 1000
    assert all(score <= now_ms for _, score in await redis.zrange("arq:queue", 0, -1, withscores=True))


async def test_several_relays_at_once_put_each_row_in_once_and_lose_none(stage: Stage, met: UUID, redis: Redis) -> None:
    commands = [batch(met, place) for place in range(MOST_ROWS + 100)]
    async with relaying(stage.engine, redis, number=3):
        asked = [job_id for part in range(0, 600, 50) for job_id in await ask(stage, *commands[part : part + 50])]
        await eventually(lambda: _none_waits(stage))
    assert sorted(await queued(redis)) == sorted(asked)
    counts = await stage.judge.ask("SELECT count(*) FROM outbox WHERE state = 'dispatched'")
    assert counts[0]["count"] == len(asked)


async def test_a_relay_does_not_overtake_another_whose_rows_are_still_on_their_way(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    under_way, go_on = asyncio.Event(), asyncio.Event()

    class Slow(Dispatcher):
        async def dispatch(self, jobs: Any) -> list[bool]:
            under_way.set()
            await go_on.wait()
            return await super().dispatch(jobs)

    asked = await ask(stage, *(batch(met, place) for place in range(3)))
    slow = asyncio.create_task(dispatch_due(stage.engine, Slow(redis)))
    async with asyncio.timeout(20):
        await under_way.wait()
    later = await ask(stage, batch(met, 3))
    assert await dispatch_due(stage.engine, Dispatcher(redis)) == Dispatched()
    assert await queued(redis) == []
    go_on.set()
    await slow
    await dispatch_due(stage.engine, Dispatcher(redis))
    assert await queued(redis) == asked + later


async def test_no_call_carries_more_bytes_than_redis_may_be_kept_busy_with(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    calls: list[int] = []

    class Counting(Dispatcher):
        async def dispatch(self, jobs: list[KeptJob]) -> list[bool]:  # type: ignore[override]  # a list will do
            calls.append(sum(len(job.body) for job in jobs))
            return await super().dispatch(jobs)

    long = "word " * 180_000
    asked = await ask(stage, *(batch(met, place, text=long) for place in range(12)))
    while (await dispatch_due(stage.engine, Counting(redis))).more:
        pass
    assert len(calls) > 1
    assert max(calls) <= 8 * 1_048_576
    assert sorted(await queued(redis)) == sorted(asked)


async def _none_waits(stage: Stage) -> bool:
    return "waiting" not in (await stage.outbox()).values()
