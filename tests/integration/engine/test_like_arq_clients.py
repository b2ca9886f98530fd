"""What a stock client is told about a job, whichever class runs it."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job, JobStatus, ResultNotFound
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_a_jobs_status_goes_from_deferred_or_queued_over_in_progress_to_complete(
    either: MakeEither, redis: ArqRedis
) -> None:
    seen: list[Any] = []

    async def look(ctx: Ctx) -> None:
        job = Job(ctx["job_id"], ctx["redis"])
        seen.append((await job.status(), await redis.zscore("arq:queue", "j") is not None))

    job = await must_enqueue(redis, "look", _job_id="j")
    assert await job.status() is JobStatus.queued
    later = await must_enqueue(redis, "look", _defer_until=datetime.now(UTC) + timedelta(hours=1))
    assert await later.status() is JobStatus.deferred
    await either([func(look, name="look")], max_burst_jobs=1).main()
    assert seen == [(JobStatus.in_progress, True)]
    assert await job.status() is JobStatus.complete
    assert await Job("unknown", redis).status() is JobStatus.not_found


async def test_a_job_and_its_hooks_may_ask_what_it_was_called_with(either: MakeEither, redis: ArqRedis) -> None:
    told: list[Any] = []

    async def ask(ctx: Ctx) -> None:
        info = await Job(ctx["job_id"], ctx["redis"]).info()
        assert info is not None
        told.append((info.function, info.args, info.kwargs, info.score is not None))

    async def work(ctx: Ctx, *args: Any, **kwargs: Any) -> None:
        await ask(ctx)

    await must_enqueue(redis, "work", 1, b="x", _job_id="j")
    await either([func(work, name="work")], on_job_start=ask, on_job_end=ask).main()
    assert told == [("work", (1,), {"b": "x"}, True)] * 3


async def test_the_record_of_a_result_tells_everything(either: MakeEither, redis: ArqRedis) -> None:
    async def double(ctx: Ctx, number: int, *, by: int) -> int:
        return number * by

    job = await must_enqueue(redis, "double", 21, by=2, _job_id="j")
    await either([func(double, name="double")]).main()
    info = await job.result_info()
    assert info is not None
    assert (info.function, info.args, info.kwargs, info.job_id, info.job_try, info.queue_name) == (
        *("double", (21,), {"by": 2}),
        *("j", 1, "arq:queue"),
    )
    assert (info.success, info.result, info.score) == (True, 42, None)
    assert info.enqueue_time <= info.start_time <= info.finish_time


async def test_what_waits_and_what_has_ended_is_listed(either: MakeEither, redis: ArqRedis) -> None:
    for number in (1, 2):
        await must_enqueue(redis, "answer", _job_id=f"j{number}")
    assert [(job.job_id, job.function) for job in await redis.queued_jobs()] == [("j1", "answer"), ("j2", "answer")]
    await either([answer]).main()
    assert await redis.queued_jobs() == []
    assert {(result.job_id, result.result) for result in await redis.all_job_results()} == {("j1", 42), ("j2", 42)}


async def test_a_client_waits_for_a_result_no_longer_than_it_says(either: MakeEither, redis: ArqRedis) -> None:
    release = asyncio.Event()

    async def wait(ctx: Ctx) -> None:
        await release.wait()

    job = await must_enqueue(redis, "wait")
    main = asyncio.create_task(either([func(wait, name="wait")]).main())
    with pytest.raises(TimeoutError):
        await job.result(timeout=0.05, poll_delay=0.01)
    release.set()
    assert await job.result(timeout=5, poll_delay=0.01) is None
    await main
    with pytest.raises(ResultNotFound):
        await Job("unknown", redis).result(timeout=5, poll_delay=0.01)


async def test_a_job_of_another_queue_is_found_there(either: MakeEither, redis: ArqRedis) -> None:
    job = await must_enqueue(redis, "answer", _job_id="j", _queue_name="arq:other")
    assert (await Job("j", redis).status(), await job.status()) == (JobStatus.not_found, JobStatus.queued)
    await either([answer], queue_name="arq:other").main()
    assert await job.result(poll_delay=0) == 42
    info = await job.result_info()
    assert info is not None
    assert info.queue_name == "arq:other"
