"""Jobs that came as pickles: refused unless that is switched on, and never lost."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.cron import cron
from arq.jobs import Job
from arq.worker import JobExecutionFailed, func

from noteflow.infrastructure.queue.codec import job_deserializer, job_serializer
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, body, now_ms, put, serving
from tests.integration.engine.poison import fine, is_letter
from tests.waiting import eventually
from worker.engine import DeadLetters, Options, Replayed, Worker
from worker.engine.claims import Status
from worker.engine.job import Unrunnable, examine

PAIR: dict[str, Any] = {"job_serializer": job_serializer, "job_deserializer": job_deserializer}


@pytest.mark.parametrize("codecs", [{}, PAIR], ids=["no codecs", "our codecs"])
async def test_a_refused_pickle_becomes_a_dead_letter_that_can_be_replayed(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters, codecs: dict[str, Any]
) -> None:
    job = await redis.enqueue_job("fine", _job_id="pickled")
    assert job is not None
    written = await redis.get("arq:job:pickled")
    strict = make_worker(
        [fine], burst=False, allow_pickle=False, options=Options(unknown_function_grace_s=0.2), **codecs
    )
    async with serving(strict):
        await put(redis, "good", "fine")
        await eventually(lambda: redis.exists("arq:result:good"))
        await eventually(lambda: is_letter(redis, "pickled"))
    assert await redis.hget("arq:handed-back:pickled", "n:pickle_refused")  # type: ignore[misc]
    letter = await letters.show("pickled")
    assert letter is not None
    assert (letter.function, letter.body) == ("fine", written)
    assert "ALLOW_PICKLE" in letter.reason
    with pytest.raises(JobExecutionFailed, match="ALLOW_PICKLE"):  # as a stock client reads it
        await job.result(timeout=1)

    assert await letters.replay("pickled") is Replayed.REPLAYED
    await make_worker([fine], **codecs).main()
    assert await job.result(timeout=1) == "fine"


async def test_a_worker_that_reads_pickles_takes_what_another_has_released(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    await redis.enqueue_job("fine", _job_id="pickled")
    options = Options(unknown_function_grace_s=5)
    strict = make_worker([fine], burst=False, allow_pickle=False, options=options)
    async with serving(strict):
        await eventually(lambda: redis.exists("arq:handed-back:pickled"))
    lenient = make_worker([fine], burst=False)
    async with serving(lenient):
        await eventually(lambda: lenient.jobs_complete == 1)
    assert not await redis.exists("arq:dead:letter:pickled")


async def test_a_burst_ends_a_refused_pickle_at_once(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    await redis.enqueue_job("fine", _job_id="pickled")
    worker = make_worker([fine], allow_pickle=False)
    await worker.main()
    assert worker.jobs_failed == await letters.count() == 1


async def test_cron_jobs_run_where_the_pool_pickles_and_pickles_are_refused(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    ran: list[str] = []

    async def tick(ctx: Ctx) -> None:
        ran.append(ctx["job_id"])

    jobs = [cron(tick, name=name, hour=1, run_at_startup=True, unique=name == "once") for name in ("once", "each")]
    worker = make_worker(cron_jobs=jobs, burst=False, allow_pickle=False)
    async with serving(worker):
        await eventually(lambda: len(ran) == 2)
        await eventually(lambda: worker.jobs_complete == 2)


async def test_what_a_job_enqueues_is_read_by_the_worker_that_runs_it(
    redis: ArqRedis, redis_settings: RedisSettings
) -> None:
    async def first(ctx: Ctx) -> None:
        await ctx["redis"].enqueue_job("fine", _job_id="second")

    await put(redis, "first", "first")
    worker = Worker([func(first, name="first"), fine], redis_settings=redis_settings, handle_signals=False)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 2)
        assert await Job("second", redis, _deserializer=job_deserializer).result(timeout=1) == "fine"
    await worker.close()


async def test_a_body_that_killed_its_readers_is_not_read_again(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    read: list[bytes] = []

    def reading(raw: bytes) -> dict[str, Any]:
        read.append(raw)
        return job_deserializer(raw)

    enqueued = now_ms()
    await redis.set("arq:job:bad", body("fine"))
    await redis.set("arq:crashes:bad", 100)
    await redis.zadd(QUEUE, {"bad": now_ms() - 10 + 0.5})  # as a claim leaves it that was never ended
    worker = make_worker([fine], job_deserializer=reading, job_serializer=job_serializer)
    await asyncio.wait_for(worker.main(), 10)
    letter = await letters.show("bad")
    assert letter is not None
    assert "workers" in letter.reason
    assert letter.function == "fine"
    assert letter.enqueued_ms is not None
    assert letter.enqueued_ms >= enqueued
    assert read == []


async def test_an_ending_over_the_limit_of_crashes_holds_although_the_job_was_claimed_since(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    """Else a body that takes its readers longer than a lease would go from one to the next without end."""
    await put(redis, "bad", "fine")
    late, next_one = (make_worker([fine], burst=False, options=Options(lease_s=0.05)) for _ in range(2))
    await redis.set("arq:crashes:bad", 100)
    batches = []
    for worker in (late, next_one):
        await redis.zadd(QUEUE, {"bad": now_ms() - 10 + 0.5})  # a lease that lapsed
        await redis.delete("arq:in-progress:bad")
        batches.append(await worker.link.claim(1, [0], aborts=False))
    (claim,) = batches[0].claims
    assert batches[1].claims
    ending = examine(late, claim)
    assert isinstance(ending, Unrunnable)
    late.link.settle(ending.settlement)
    assert await ending.settlement.wait() is Status.DONE
    letter = await letters.show("bad")
    assert letter is not None
    assert "workers" in letter.reason
    assert await redis.zscore(QUEUE, "bad") is None


async def test_such_an_ending_does_not_end_a_job_that_was_enqueued_anew(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    await put(redis, "bad", "fine")
    await redis.set("arq:crashes:bad", 100)
    await redis.zadd(QUEUE, {"bad": now_ms() - 10 + 0.5})
    late, other = (make_worker([fine], burst=False) for _ in range(2))
    (claim,) = (await late.link.claim(1, [0], aborts=False)).claims
    ending = examine(late, claim)
    assert isinstance(ending, Unrunnable)
    await redis.delete("arq:crashes:bad", "arq:in-progress:bad")  # as its replay does
    await put(redis, "bad", "fine")
    assert (await other.link.claim(1, [0], aborts=False)).claims
    late.link.settle(ending.settlement)
    assert await ending.settlement.wait() is Status.LOST
    assert await letters.count() == 0
