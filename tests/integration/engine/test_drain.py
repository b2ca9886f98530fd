from __future__ import annotations

import asyncio
import math
import signal
from contextlib import suppress

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, put
from tests.waiting import eventually
from worker.engine import DeadLetters, Worker, drain


async def test_twenty_deploys_during_one_long_job_do_not_fail_it(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    tries: list[int] = []

    async def long(ctx: Ctx) -> None:
        tries.append(ctx["job_try"])
        if len(tries) <= 20:
            await asyncio.Event().wait()

    await put(redis, "j", "long")
    for deploy in range(1, 21):
        worker = make_worker([func(long, name="long", max_tries=1)], burst=False)
        main = asyncio.create_task(worker.async_run())
        await eventually(lambda deploy=deploy: len(tries) == deploy)  # type: ignore[misc]
        worker.handle_sig(signal.SIGTERM)
        await asyncio.gather(main, return_exceptions=True)
        await worker.close()
    await make_worker([func(long, name="long", max_tries=1)]).main()
    assert tries == [1] * 21
    assert await redis.exists("arq:result:j")
    assert await letters.count() == 0


async def test_a_job_claimed_while_stopping_is_handed_back(redis: ArqRedis, make_worker: MakeWorker) -> None:
    async def never(ctx: Ctx) -> None:
        raise AssertionError("it must not start")

    await put(redis, "j", "never")
    score = await redis.zscore(QUEUE, "j")
    worker = make_worker([func(never, name="never")], burst=False)
    await worker.claim(1)
    worker.handle_sig(signal.SIGTERM)
    await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
    await worker.close()
    assert await redis.zscore(QUEUE, "j") == score
    assert await redis.exists("arq:in-progress:j", "arq:retry:j") == 0


async def test_a_job_that_does_not_stop_is_left_behind(
    redis: ArqRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drain, "STUBBORN_S", 0.1)
    go_on, begun = asyncio.Event(), asyncio.Event()

    async def stubborn(ctx: Ctx) -> None:
        while not go_on.is_set():
            with suppress(asyncio.CancelledError):
                begun.set()
                await go_on.wait()

    await put(redis, "j", "stubborn")
    worker = make_worker([func(stubborn, name="stubborn")], burst=False)
    await worker.claim(1)
    await begun.wait()
    [task] = worker.tasks.values()
    worker.handle_sig(signal.SIGTERM)
    await asyncio.wait_for(worker.close(), 5)
    score = await redis.zscore(QUEUE, "j")
    assert score == math.floor(score or 0.5), "its lease is left to run out, which counts as a death"
    assert await redis.exists("arq:in-progress:j", "arq:retry:j") == 0
    go_on.set()
    with suppress(asyncio.CancelledError):
        await task
    assert await redis.zscore(QUEUE, "j") == score


async def test_endings_are_flushed_before_a_worker_closes(redis: ArqRedis, make_worker: MakeWorker) -> None:
    async def fine(ctx: Ctx) -> str:
        return "fine"

    for number in range(50):
        await put(redis, f"j{number}", "fine")
    worker = make_worker([func(fine, name="fine")], burst=False, max_jobs=50)
    await worker.claim(50)
    await eventually(lambda: worker.jobs_complete == 50, every_s=0)
    await worker.close()
    assert len(await redis.keys("arq:result:*")) == 50
    assert await redis.zcard(QUEUE) == 0


async def test_a_worker_that_is_run_again_listens_and_is_seen_again(
    redis: ArqRedis, redis_settings: RedisSettings
) -> None:
    async def answer(ctx: Ctx) -> int:
        return 42

    before = signal.getsignal(signal.SIGTERM)
    worker = Worker([answer], redis_settings=redis_settings)
    for _ in range(2):
        run = asyncio.create_task(worker.async_run())
        await eventually(lambda: redis.exists(f"arq:worker:{worker.worker_id}"))
        await eventually(lambda: redis.exists(worker.health_check_key))
        assert signal.getsignal(signal.SIGTERM) is not before
        worker.handle_sig(signal.SIGUSR1)
        await worker.close()
        await asyncio.gather(run, return_exceptions=True)
        assert signal.getsignal(signal.SIGTERM) is before
