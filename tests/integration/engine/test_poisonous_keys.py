"""Keys, scores and leases as no worker writes them."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from arq import Retry
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import Ctx, body, put, serving
from tests.integration.engine.poison import (
    fine,
    gone,
    is_letter,
    raw,
)
from tests.waiting import eventually
from worker.engine import DeadLetters, Options


@pytest.mark.parametrize("score", [0, -5, "-inf", 1.5])
async def test_odd_scores_are_due(redis: ArqRedis, make_worker: MakeWorker, score: Any) -> None:
    await raw(body("fine"), b"j", score)(redis)
    worker = make_worker([fine], burst=False)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 1)


@pytest.mark.parametrize("prefix", ["retry", "crashes", "errors", "result", "unknown", "dead:letter"])
async def test_keys_of_the_wrong_type_are_overwritten(
    redis: Any, make_worker: MakeWorker, letters: DeadLetters, prefix: str
) -> None:
    async def refuse(ctx: Ctx) -> None:
        raise ValueError("no")

    for job_id in ("ok", "bad"):
        await redis.rpush(f"arq:{prefix}:{job_id}", "x")
    await redis.set("arq:retry:ok" if prefix != "retry" else "other", "not a number")
    await put(redis, "ok", "fine")
    await put(redis, "bad", "refuse")
    worker = make_worker([fine, func(refuse, name="refuse")], burst=False)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == worker.jobs_failed == 1)
        await eventually(lambda: is_letter(redis, "bad"))
        assert await letters.show("bad") is not None
        await eventually(lambda: gone(redis, "arq:job:ok"))


@pytest.mark.parametrize("key", ["arq:paused", "arq:abort", "low"])
async def test_shared_keys_of_the_wrong_type_do_not_stop_the_queue(
    redis: ArqRedis, make_worker: MakeWorker, key: str
) -> None:
    await redis.set(key, "x")
    await put(redis, "ok", "fine")
    options = Options(more_queues=("low",))
    worker = make_worker([fine], burst=False, allow_abort_jobs=True, options=options)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 1)
        await eventually(lambda: redis.exists("arq:result:ok"))
    assert worker.outage.count == 0


async def test_a_lease_without_an_end_blocks_nobody(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await redis.set("arq:in-progress:j", "1")
    await put(redis, "j", "fine")
    worker = make_worker([fine])
    await worker.main()
    assert worker.jobs_complete == 1


async def test_a_queue_that_becomes_another_type_holds_up_no_ending_of_the_others(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    go_on = asyncio.Event()

    async def hold(ctx: Ctx) -> None:
        await go_on.wait()

    async def again(ctx: Ctx) -> None:
        await go_on.wait()
        raise Retry(defer=60)  # or it would be run again, and be gone, before it is looked at

    await put(redis, "lower", "hold", queue="low")
    await put(redis, "returns", "again", queue="low")
    await put(redis, "upper", "hold")
    options = Options(more_queues=("low",), lease_s=0.6)
    worker = make_worker([fine, func(hold, name="hold"), func(again, name="again")], burst=False, options=options)
    async with serving(worker):
        await eventually(lambda: worker.job_counter == 3)
        await redis.set("low", "x")
        rounds = worker.leases.rounds
        await eventually(lambda: worker.leases.rounds > rounds + 4)  # longer than a lease
        go_on.set()
        for job_id in ("lower", "upper"):
            await eventually(lambda job_id=job_id: redis.exists(f"arq:result:{job_id}"))  # type: ignore[misc]
        await put(redis, "next", "fine")
        await eventually(lambda: redis.exists("arq:result:next"))
        # What is to go back into the queue that is none waits for its repair.
        await eventually(lambda: any("WRONGTYPE" in excuse for excuse in worker.health.excuses))
        await redis.delete("low")
        await eventually(lambda: redis.zscore("low", "returns"))
        await eventually(lambda: worker.health.excuses == [])
