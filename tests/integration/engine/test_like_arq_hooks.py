"""Hooks and what they are told, in both classes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import Retry, func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_hooks_run_in_order_around_jobs_and_the_worker(either: MakeEither, redis: ArqRedis) -> None:
    said: list[str] = []

    def hook(name: str) -> Any:
        async def say(ctx: Ctx) -> None:
            kept = await ctx["redis"].exists("arq:result:j")
            said.append(f"{name} {ctx.get('job_id', '-')} {'recorded' if kept else 'not yet'}")

        return say

    async def job(ctx: Ctx) -> None:
        said.append("job")

    names = ("on_startup", "on_job_start", "on_job_end", "after_job_end", "on_shutdown")
    await must_enqueue(redis, "job", _job_id="j")
    worker = either([func(job, name="job")], **{name: hook(name) for name in names})
    await worker.main()
    await worker.close()
    assert said == [
        "on_startup - not yet",
        "on_job_start j not yet",
        "job",
        "on_job_end j not yet",
        "after_job_end j recorded",
        "on_shutdown - recorded",
    ]


async def test_hooks_of_a_job_that_was_cancelled_are_not_cancelled_themselves(
    either: MakeEither, redis: ArqRedis
) -> None:
    cancelled: list[int] = []

    async def hook(ctx: Ctx) -> None:
        task = asyncio.current_task()
        assert task is not None
        cancelled.append(task.cancelling())

    async def long(ctx: Ctx) -> None:
        await asyncio.Event().wait()

    await must_enqueue(redis, "long")
    await either([func(long, name="long", timeout=0.05)], on_job_end=hook, after_job_end=hook).main()
    assert cancelled == [0, 0]


async def test_a_worker_whose_start_hook_raises_runs_no_job_and_may_still_be_closed(
    either: MakeEither, redis: ArqRedis
) -> None:
    closed: list[str] = []

    async def fail(ctx: Ctx) -> None:
        raise ValueError("no database")

    async def end(ctx: Ctx) -> None:
        closed.append("on_shutdown")

    await must_enqueue(redis, "answer")
    worker = either([answer], on_startup=fail, on_shutdown=end)
    with pytest.raises(ValueError, match="no database"):
        await worker.main()
    await worker.close()
    assert closed == ["on_shutdown"]
    assert await redis.zcard("arq:queue") == 1


async def test_what_a_stop_hook_raises_comes_out_of_close(either: MakeEither) -> None:
    async def fail(ctx: Ctx) -> None:
        worker.on_shutdown = None  # Arq's own closes its pool only when this has not raised
        raise ValueError("not let go")

    worker = either([answer], on_shutdown=fail)
    await worker.main()
    with pytest.raises(ValueError, match="not let go"):
        await worker.close()


async def test_hooks_see_a_job_that_fails_and_each_try_of_one_that_is_retried(
    either: MakeEither, redis: ArqRedis
) -> None:
    said: list[tuple[str, int]] = []

    def hook(name: str) -> Any:
        async def say(ctx: Ctx) -> None:
            said.append((name, ctx["job_try"]))

        return say

    async def second(ctx: Ctx) -> None:
        if ctx["job_try"] == 1:
            raise Retry
        raise ValueError("no good")

    names = ("on_job_start", "on_job_end", "after_job_end")
    await must_enqueue(redis, "second")
    await either([func(second, name="second")], **{name: hook(name) for name in names}).main()
    assert said == [(name, number) for number in (1, 2) for name in names]
