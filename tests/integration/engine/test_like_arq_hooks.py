"""Hooks and what they are told, in both classes."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import must_enqueue

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
