"""In which ways a worker is given its functions, in both classes."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


class Tasks:
    """Functions with something in common."""

    async def shout(self, ctx: Ctx) -> str:
        return "AY"


async def test_functions_are_called_by_their_names(either: MakeEither, redis: ArqRedis) -> None:
    dotted = "tests.integration.engine.like_arq.answer"
    functions: list[Any] = [answer, dotted, func(answer, name="named"), func(dotted, name="short"), Tasks().shout]
    worker = either([*functions, func(func(answer, name="twice"), name="ignored")])
    assert list(worker.functions) == ["answer", dotted, "named", "short", "Tasks.shout", "twice"]
    jobs = [await must_enqueue(redis, name) for name in worker.functions]
    await worker.main()
    assert [await job.result(poll_delay=0) for job in jobs] == [42, 42, 42, 42, "AY", 42]


async def test_what_is_no_coroutine_function_is_refused(either: MakeEither) -> None:
    def plain(ctx: Ctx) -> None: ...

    with pytest.raises(RuntimeError, match="is not a coroutine function"):
        either([plain])
    with pytest.raises(RuntimeError, match="at least one function or cron_job must be registered"):
        either([])
    with pytest.raises(RuntimeError, match="cron_jobs, must be instances of CronJob"):
        either([answer], cron_jobs=[answer])


async def test_a_job_may_leave_blocking_work_to_an_executor(either: MakeEither, redis: ArqRedis) -> None:
    def sleep_and_return(for_s: float) -> float:
        time.sleep(for_s)
        return for_s

    async def begin(ctx: Ctx) -> None:
        ctx["pool"] = ThreadPoolExecutor()

    async def end(ctx: Ctx) -> None:
        ctx["pool"].shutdown()

    async def block(ctx: Ctx, for_s: float) -> float:
        return await asyncio.get_running_loop().run_in_executor(ctx["pool"], partial(sleep_and_return, for_s))

    job = await must_enqueue(redis, "block", 0.01)
    worker = either([func(block, name="block")], on_startup=begin, on_shutdown=end)
    await worker.main()
    await worker.close()
    assert await job.result(poll_delay=0) == 0.01


async def test_a_queue_that_is_not_named_is_that_of_the_pool(
    either: MakeEither, redis: ArqRedis, redis_settings: RedisSettings
) -> None:
    redis.default_queue_name = "arq:of-the-pool"
    await must_enqueue(redis, "answer")
    worker = either(
        [answer], queue_name=None, redis_pool=ArqRedis(redis.connection_pool, default_queue_name="arq:of-the-pool")
    )
    assert worker.queue_name == "arq:of-the-pool"
    assert await worker.run_check() == 1
    with pytest.raises(ValueError, match="If queue_name is absent, redis_pool must be present"):
        either([answer], queue_name=None, redis_settings=redis_settings)
