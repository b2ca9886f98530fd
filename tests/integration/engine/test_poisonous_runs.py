"""Whatever a job or a hook does or returns, the worker goes on."""

from __future__ import annotations

import asyncio
import pickle
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job
from arq.worker import func

from noteflow.infrastructure.queue.codec import job_deserializer
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import Ctx, put, serving
from tests.integration.engine.poison import (
    fine,
)
from tests.waiting import eventually
from worker.engine import DeadLetters


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Unpicklable(Exception):
    def __init__(self, code: int, told: str) -> None:
        super().__init__(told)


class Shy:
    def __repr__(self) -> str:
        raise ValueError("do not look")


@pytest.mark.parametrize(
    "raised",
    [SystemExit(3), KeyboardInterrupt(), Unspeakable(), Unpicklable(1, "two"), MemoryError(), BaseException("bare")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("codec", ["json", "pickle"])
async def test_whatever_a_job_raises_ends_the_job_and_nothing_else(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters, raised: BaseException, codec: str
) -> None:
    async def burst_out(ctx: Ctx) -> None:
        raise raised

    if codec == "json":
        await put(redis, "bad", "burst_out")
    else:
        await redis.enqueue_job("burst_out", _job_id="bad")
    worker = make_worker([fine, func(burst_out, name="burst_out")], burst=False)
    async with serving(worker):
        await eventually(lambda: letters.count())
        await put(redis, "good", "fine")
        await eventually(lambda: worker.jobs_complete == 1)
    letter = await letters.show("bad")
    assert letter is not None
    assert type(raised).__name__ in letter.reason
    info = await Job("bad", redis, _deserializer=None if codec == "pickle" else job_deserializer).result_info()
    assert info is not None
    assert not info.success


@pytest.mark.parametrize(
    "result", [Shy(), object(), 2**80, {1, 2}, b"\xff", "\ud800", float("inf")], ids=lambda value: type(value).__name__
)
async def test_whatever_a_job_returns_the_worker_goes_on(redis: ArqRedis, make_worker: MakeWorker, result: Any) -> None:
    async def give(ctx: Ctx) -> Any:
        return result

    await put(redis, "odd", "give")
    worker = make_worker([fine, func(give, name="give")], burst=False)
    async with serving(worker):
        await eventually(lambda: redis.exists("arq:result:odd"))
        await put(redis, "good", "fine")
        await eventually(lambda: worker.jobs_complete == 2)


@pytest.mark.parametrize("error", [ValueError("hook"), SystemExit(3)], ids=repr)
@pytest.mark.parametrize("hook", ["on_job_start", "on_job_end", "after_job_end"])
async def test_a_hook_that_raises_ends_at_most_its_job(
    redis: ArqRedis, make_worker: MakeWorker, hook: str, error: BaseException
) -> None:
    async def raise_for_bad(ctx: Ctx) -> None:
        if ctx["job_id"] == "bad":
            raise error

    await put(redis, "bad", "fine")
    hooks: Any = {hook: raise_for_bad}
    worker = make_worker([fine], burst=False, **hooks)
    async with serving(worker):
        await put(redis, "good", "fine")
        await eventually(lambda: worker.jobs_complete + worker.jobs_failed == 2)
        await eventually(lambda: redis.exists("arq:result:good"))
        await eventually(lambda: redis.exists("arq:result:bad"))


async def test_a_hook_before_a_job_that_does_not_return_ends_with_the_jobs_timeout(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    async def hang_for_bad(ctx: Ctx) -> None:
        if ctx["job_id"] == "bad":
            await asyncio.Event().wait()

    await put(redis, "bad", "fine")
    worker = make_worker([fine], burst=False, job_timeout=0.1, max_jobs=1, on_job_start=hang_for_bad)
    async with serving(worker):
        await put(redis, "good", "fine")
        await eventually(lambda: redis.exists("arq:result:good"))
        assert worker.jobs_failed == 1


async def test_arguments_too_large_to_show_are_not_spelled_out(redis: ArqRedis, make_worker: MakeWorker) -> None:
    knot: Any = ["x"]
    for _ in range(60):
        knot = [knot, knot]  # 2^60 strings when spelled out, a few hundred bytes when pickled

    async def take(ctx: Ctx, value: Any) -> int:
        return 1

    await redis.enqueue_job("take", knot, _job_id="j")
    worker = make_worker([func(take, name="take")], job_serializer=pickle.dumps, job_deserializer=pickle.loads)
    await asyncio.wait_for(worker.main(), 5)
    assert worker.jobs_complete == 1
