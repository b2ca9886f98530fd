"""Jobs that have seen all but the last of the deaths they may see: no worker runs two of them at once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, body, now_ms, put_many, serving
from tests.waiting import eventually
from worker.engine import DeadLetters, Options


class Hall:
    """Where jobs stay until they are told to go, and are counted."""

    def __init__(self) -> None:
        self.inside: set[str] = set()
        self.go: asyncio.Event = asyncio.Event()
        self.together = 0

    @property
    def function(self) -> Any:
        async def stay(ctx: Ctx) -> None:
            self.inside.add(ctx["job_id"])
            self.together = max(self.together, len(self.inside))
            await self.go.wait()
            await asyncio.sleep(0.01)
            self.inside.discard(ctx["job_id"])

        return func(stay, name="stay")


@pytest.fixture
def hall() -> Hall:
    return Hall()


async def lost(redis: ArqRedis, job_id: str, deaths: int) -> None:
    """Leave a job as so many dead workers leave it, the last of which is not counted yet."""
    await redis.set(f"arq:job:{job_id}", body("stay"))
    if deaths > 1:
        await redis.set(f"arq:crashes:{job_id}", deaths - 1)
    score = now_ms() - 1_000 + 0.5
    await redis.zadd(QUEUE, {job_id: score})
    await redis.zadd(f"arq:leases:{QUEUE}", {job_id: score})


async def test_a_worker_takes_one_suspect_at_a_time_and_all_else_beside_it(
    redis: ArqRedis, make_worker: MakeWorker, hall: Hall, letters: DeadLetters
) -> None:
    for number in range(4):
        await lost(redis, f"s{number}", deaths=2)
    worker = make_worker([hall.function], burst=False)
    async with serving(worker):
        await eventually(lambda: len(hall.inside) == 1)
        await put_many(redis, 5, "stay")
        await eventually(lambda: len(hall.inside) == 6)
        await eventually(lambda: redis.zcount(QUEUE, "-inf", now_ms()))  # those that were put off come due again
        assert len({job_id for job_id in hall.inside if job_id.startswith("s")}) == 1
        hall.together = 0
        hall.go.set()
        await eventually(lambda: worker.jobs_complete == 9)
    assert worker.jobs_failed == 0
    assert await letters.count() == 0
    assert await redis.keys("arq:crashes:*") == []


async def test_each_worker_takes_one(redis: ArqRedis, make_worker: MakeWorker, hall: Hall) -> None:
    for number in range(2):
        await lost(redis, f"s{number}", deaths=2)
    first, second = (make_worker([hall.function], burst=False) for _ in range(2))
    async with serving(first):
        await eventually(lambda: len(hall.inside) == 1)
        async with serving(second):
            await eventually(lambda: len(hall.inside) == 2)
            hall.go.set()
            await eventually(lambda: first.jobs_complete == second.jobs_complete == 1)


async def test_being_put_off_is_no_death(redis: ArqRedis, make_worker: MakeWorker, hall: Hall) -> None:
    for number in range(2):
        await lost(redis, f"s{number}", deaths=2)
    worker = make_worker([hall.function], burst=False)
    async with serving(worker):
        await eventually(lambda: len(hall.inside) == 1)
        (other,) = {"s0", "s1"} - hall.inside
        for _ in range(3):
            await worker.claim(5)
        assert await redis.get(f"arq:crashes:{other}") == b"1"
        assert await redis.exists(f"arq:in-progress:{other}") == 0
        hall.go.set()
        await eventually(lambda: worker.jobs_complete == 2)


@pytest.mark.parametrize(("deaths", "most"), [(1, 3), (2, 5), (1, 1)])
async def test_others_are_taken_together(
    redis: ArqRedis, make_worker: MakeWorker, hall: Hall, letters: DeadLetters, deaths: int, most: int
) -> None:
    for number in range(4):
        await lost(redis, f"s{number}", deaths=deaths)
    worker = make_worker([hall.function], burst=False, options=Options(max_crashes=most))
    async with serving(worker):
        if deaths < most:
            await eventually(lambda: len(hall.inside) == 4)
            hall.go.set()
        else:
            await eventually(lambda: worker.jobs_failed == 4)
