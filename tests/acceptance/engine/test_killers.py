"""A job that kills its worker becomes a dead letter; who only ran beside it does not."""

from __future__ import annotations

import asyncio

from arq.connections import ArqRedis

from tests.acceptance.engine.conftest import Spawn
from tests.integration.engine.jobs import QUEUE, put, put_many
from tests.waiting import eventually
from worker.engine import DeadLetters

BESIDE = 19


async def test_who_only_ran_beside_a_killer_is_not_taken_for_it(redis: ArqRedis, spawn: Spawn) -> None:
    await put(redis, "killer", "die")
    await put_many(redis, BESIDE, "count", prefix="beside")
    deaths = 0
    while await redis.zcard(QUEUE):
        worker = await spawn(lease_s=0.5, beat_s=0.1)  # so brief that no two workers die together
        dying = asyncio.create_task(worker.wait())
        await eventually(lambda dying=dying: _over(redis, dying), within_s=30.0)  # type: ignore[misc]
        deaths += dying.done()
        dying.cancel()
    letters = DeadLetters(redis)
    assert [letter.job_id async for letter in letters.find()] == ["killer"]
    # Some were done and killed before that was recorded, and were done again: once is what a ledger is for.
    assert await redis.execute_command("HLEN", "done") == BESIDE  # type: ignore[no-untyped-call]
    assert len(await redis.keys("arq:result:beside*")) == BESIDE
    assert deaths == 5  # two that took all along, and three that had only the killer


async def _over(redis: ArqRedis, dying: asyncio.Task[int]) -> bool:
    return dying.done() or not await redis.zcard(QUEUE)
