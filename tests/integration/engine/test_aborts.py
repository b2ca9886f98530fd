"""An abort is for one run of one job, whatever that makes of it."""

from __future__ import annotations

import asyncio
import signal

import pytest
from arq import Retry
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, now_ms, put, serving
from tests.waiting import eventually
from worker.engine.scripts import run_script


@pytest.mark.parametrize("answer", ["returns", "retries"])
async def test_an_abort_that_a_job_has_answered_in_its_own_way_does_not_end_its_next_run(
    redis: ArqRedis, make_worker: MakeWorker, answer: str
) -> None:
    runs = 0

    async def willful(ctx: Ctx) -> None:
        nonlocal runs
        runs += 1
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if runs > 1:
                raise
        if answer == "retries":
            raise Retry

    await put(redis, "j", "willful")
    worker = make_worker([func(willful, name="willful")], burst=False, allow_abort_jobs=True)
    main = asyncio.create_task(worker.async_run())
    await eventually(lambda: runs == 1)
    await redis.zadd("arq:abort", {"j": now_ms()})
    if answer == "returns":
        await eventually(lambda: redis.exists("arq:result:j"))
        await redis.delete("arq:result:j")
        await put(redis, "j", "willful")
    await eventually(lambda: runs == 2)
    worker.handle_sig(signal.SIGTERM)
    await asyncio.wait([main])
    await worker.close()
    assert worker.jobs_failed == 0
    assert await redis.zscore(QUEUE, "j") is not None, "a stopped worker has not handed its job back"


async def test_an_abort_reaches_the_run_of_a_job_whose_earlier_run_has_not_stopped_yet(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    begun: list[asyncio.Event] = []

    async def slow(ctx: Ctx) -> None:
        go_on = asyncio.Event()
        begun.append(go_on)
        await go_on.wait()

    await put(redis, "j", "slow")
    worker = make_worker([func(slow, name="slow")], burst=False, allow_abort_jobs=True)
    await worker.claim(1)
    await eventually(lambda: len(begun) == 1)
    first = worker.tasks["j"]
    await redis.delete("arq:in-progress:j")
    await redis.zadd(QUEUE, {"j": now_ms()})
    await worker.claim(1)
    await eventually(lambda: len(begun) == 2)
    begun[0].set()
    await first
    await redis.zadd("arq:abort", {"j": now_ms()})
    await worker._cancel_aborted_jobs()
    await eventually(lambda: worker.jobs_failed == 1)


async def test_an_aborted_job_whose_claim_was_cut_off_is_free_at_once_and_stays_first_in_line(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    await put(redis, "j", "never")
    worker = make_worker([func(never, name="never")])
    [claim] = (await worker.link.claim(1, [0], aborts=True)).claims
    await redis.zadd(QUEUE, {"j": 1})  # as Arq's abort does with a job that is not due yet, or runs
    assert await run_script(redis, "recover", [QUEUE], [claim.token, 10_000]) == 1
    assert await redis.exists("arq:in-progress:j") == 0
    assert await redis.zscore(QUEUE, "j") == 1


async def test_a_mark_that_came_after_the_end_of_its_job_does_not_wait_for_the_next_one(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    await put(redis, "later", "never", in_ms=3_600_000)
    long_ago = now_ms() - 61_000
    marks = {f"gone{number}": long_ago + number for number in range(300)}
    await redis.zadd("arq:abort", {**marks, "later": long_ago, "just now": now_ms()})
    worker = make_worker([func(never, name="never")], burst=False)
    async with serving(worker):
        await eventually(lambda: only_meant(redis))


async def never(ctx: Ctx) -> None:
    raise AssertionError("it is not due")


async def only_meant(redis: ArqRedis) -> bool:
    marked: list[bytes] = await redis.zrange("arq:abort", 0, -1)
    return marked == [b"later", b"just now"]
