"""Jobs whose worker died: they come before whatever waits, and the list of leases that shows them mends itself."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import Retry, func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, abandon, put, put_many, serving
from tests.waiting import eventually
from worker.engine import HandBack, Options, Refused, Worker

BRIEF = Options(lease_s=0.05)
LEASES = f"arq:leases:{QUEUE}"


async def fine(ctx: Ctx) -> None:
    return


async def endless(ctx: Ctx) -> None:
    await asyncio.Event().wait()


FUNCTIONS = [func(fine, name="fine"), func(endless, name="endless")]


async def orphan(redis: ArqRedis, make_worker: MakeWorker, *job_ids: str, queue: str = QUEUE) -> None:
    """Let a worker claim the jobs and die, and their leases lapse."""
    for job_id in job_ids:
        await put(redis, job_id, "endless", queue=queue)
    victim = make_worker(FUNCTIONS, burst=False, options=BRIEF, queue_name=queue)
    await victim.claim(len(job_ids))
    abandon(victim)
    rounds = victim.leases.rounds
    await eventually(lambda: victim.leases.rounds > rounds + 1)  # a renewal under way could take them back
    await eventually(lambda: _lapsed(redis, job_ids))


async def _lapsed(redis: ArqRedis, job_ids: tuple[str, ...]) -> bool:
    return not await redis.exists(*[f"arq:in-progress:{job_id}" for job_id in job_ids])


async def claimed(worker: Worker, limit: int) -> list[tuple[str, int]]:
    batch = await worker.claim(limit)
    abandon(worker)
    return [(claim.job_id, claim.crashes) for claim in batch.claims]


async def test_an_orphan_comes_before_a_backlog_and_its_death_is_counted(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    await orphan(redis, make_worker, "a", "b")
    await put_many(redis, 100, "endless")
    await redis.zadd(QUEUE, {f"j{n}": 1000 + n for n in range(100)})
    worker = make_worker(FUNCTIONS, burst=False)
    assert await claimed(worker, 1) == [("a", 1)]
    assert await claimed(worker, 3) == [("b", 1), ("j0", 0), ("j1", 0)]


async def test_an_orphan_of_a_lower_queue_comes_before_the_upper_queues_backlog(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    await orphan(redis, make_worker, "a", queue="low")
    await put_many(redis, 20, "endless")
    options = Options(more_queues=("low",), lower_queue_share=0.0)
    worker = make_worker(FUNCTIONS, burst=False, options=options)
    assert await claimed(worker, 2) == [("a", 1), ("j0", 0)]


async def test_an_orphan_of_a_paused_queue_waits(redis: Any, make_worker: MakeWorker) -> None:
    await orphan(redis, make_worker, "a")
    await redis.hset("arq:paused", f"queue:{QUEUE}", "nightly work")
    worker = make_worker(FUNCTIONS, burst=False)
    assert await claimed(worker, 1) == []
    await redis.delete("arq:paused")
    assert await claimed(worker, 1) == [("a", 1)]


async def test_orphans_too_large_for_one_batch_stay_first(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await orphan(redis, make_worker, "a", "b")
    await put_many(redis, 3, "endless")
    await redis.zadd(QUEUE, {f"j{n}": 1000 + n for n in range(3)})
    worker = make_worker(FUNCTIONS, burst=False, options=Options(claim_bytes=1))
    assert [await claimed(worker, 2) for _ in range(3)] == [[("a", 1)], [("b", 1)], [("j0", 0)]]


async def test_what_is_no_orphan_is_struck_from_the_list_and_not_run(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await orphan(redis, make_worker, "gone", "again", "theirs", "renewed")
    await redis.zrem(QUEUE, "gone")
    await redis.zadd(QUEUE, {"again": 2e12})
    await redis.zadd(QUEUE, {"renewed": 2e12 + 0.5})
    await redis.psetex("arq:in-progress:theirs", 60_000, b"1")
    await put_many(redis, 2, "endless")
    worker = make_worker(FUNCTIONS, burst=False)
    assert await claimed(worker, 1) == [("j0", 0)]
    assert await redis.zrange(LEASES, 0, -1) == [b"j0"]


@pytest.mark.parametrize("limit", [1, 10, 56, 57, 64, 65, 100])
async def test_an_orphan_is_among_any_number_that_a_backlog_fills(
    redis: ArqRedis, make_worker: MakeWorker, limit: int
) -> None:
    await orphan(redis, make_worker, "a")
    await put_many(redis, 300, "endless")
    await redis.zadd(QUEUE, {f"j{n}": 1000 + n for n in range(300)})
    batch = await claimed(make_worker(FUNCTIONS, burst=False, max_jobs=100), limit)
    assert (len(batch), "a" in dict(batch)) == (limit, True)


async def test_without_the_list_orphans_come_due_by_themselves(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await orphan(redis, make_worker, "a")
    await redis.delete(LEASES)
    worker = make_worker([func(fine, name="endless")], burst=False)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 1)


async def test_a_list_that_is_none_stops_nobody(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await redis.set(LEASES, "no set")
    await orphan(redis, make_worker, "a")
    await put_many(redis, 10, "fine")
    worker = make_worker([func(fine, name="fine"), func(fine, name="endless")], burst=False)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 11)
    assert await redis.get(f"arq:set-aside:{LEASES}") == b"no set"
    assert await redis.hget("arq:set-aside", LEASES) == b"1"  # type: ignore[misc]


async def test_a_lease_is_on_the_list_for_as_long_as_it_is_held(redis: ArqRedis, make_worker: MakeWorker) -> None:
    seen: list[float] = []

    async def end(ctx: Ctx, how: str) -> None:
        at = await redis.zscore(LEASES, ctx["job_id"])
        assert at is not None
        seen.append(at)
        rounds = worker.leases.rounds
        await eventually(lambda: worker.leases.rounds >= rounds + 2)
        renewed = await redis.zscore(LEASES, ctx["job_id"])
        assert renewed == await redis.zscore(QUEUE, ctx["job_id"])
        assert renewed is not None
        assert renewed > at
        match how:
            case "fail":
                raise Refused("for good")
            case "retry":
                raise Retry(defer=60)
            case "hand back":
                raise HandBack(60)

    for how in ("return", "fail", "retry", "hand back"):
        await put(redis, how, "end", how)
    worker = make_worker([func(end, name="end")], burst=False, options=Options(lease_s=0.6))
    async with serving(worker):
        await eventually(lambda: len(seen) == 4 and not worker.tasks)
    assert (worker.jobs_complete, worker.jobs_failed, worker.jobs_retried) == (1, 1, 2)
    assert await redis.exists(LEASES) == 0
