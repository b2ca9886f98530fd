"""Bursts, and how many jobs a worker takes, in both classes."""

from __future__ import annotations

import asyncio

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_a_burst_ends_after_as_many_jobs_as_asked(either: MakeEither, redis: ArqRedis) -> None:
    for _ in range(3):
        await must_enqueue(redis, "answer")
    worker = either([answer])
    assert await worker.run_check(max_burst_jobs=2) == 2
    assert await redis.zcard("arq:queue") == 1


async def test_a_burst_of_none_starts_none(either: MakeEither, redis: ArqRedis) -> None:
    await must_enqueue(redis, "answer")
    worker = either([answer], max_burst_jobs=0)
    await worker._poll_iteration()
    assert worker.tasks == {}


async def test_a_burst_runs_what_its_jobs_enqueue(either: MakeEither, redis: ArqRedis) -> None:
    async def parent(ctx: Ctx) -> None:
        await ctx["redis"].enqueue_job("answer")

    await must_enqueue(redis, "parent")
    assert await either([func(parent, name="parent"), answer]).run_check() == 2


async def test_a_poll_starts_no_more_than_the_read_limit(either: MakeEither, redis: ArqRedis) -> None:
    for _ in range(4):
        await must_enqueue(redis, "answer")
    worker = either([answer], queue_read_limit=2)
    await worker._poll_iteration()
    await asyncio.gather(*worker.tasks.values())
    assert worker.jobs_complete == 2
    assert await redis.zcard("arq:queue") == 2


async def test_no_more_jobs_run_than_there_are_slots(either: MakeEither, redis: ArqRedis) -> None:
    running = 0
    most = 0

    async def count(ctx: Ctx) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    for _ in range(30):
        await must_enqueue(redis, "count")
    await either([func(count, name="count")], max_jobs=4).main()
    assert 1 <= most <= 4


async def test_start_jobs_takes_each_job_once(either: MakeEither, redis: ArqRedis) -> None:
    ran = 0

    async def once(ctx: Ctx) -> None:
        nonlocal ran
        ran += 1

    await must_enqueue(redis, "once", _job_id="j")
    worker = either([func(once, name="once")])
    await asyncio.gather(*[worker.start_jobs([b"j"]) for _ in range(5)])
    await worker.main()
    assert ran == 1


async def test_a_worker_may_serve_another_queue(either: MakeEither, redis: ArqRedis) -> None:
    await must_enqueue(redis, "answer", _queue_name="arq:other")
    await must_enqueue(redis, "answer")
    worker = either([answer], queue_name="arq:other")
    await worker.main()
    assert worker.jobs_complete == 1
    assert await redis.zcard("arq:queue") == 1
