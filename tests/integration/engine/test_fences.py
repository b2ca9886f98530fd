"""What an ending may not touch, and what becomes of one whose answer is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job
from arq.worker import Retry, func

from noteflow.infrastructure.queue.codec import job_deserializer
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, now_ms, put, serving
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.engine import DeadLetters, HandBack, Worker
from worker.engine.scripts import run_script


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url) as proxy:
        yield proxy


def through(proxy: Proxy, functions: Any, **arguments: Any) -> Worker:
    pool = ArqRedis.from_url(proxy.url)
    return Worker(functions, redis_pool=pool, handle_signals=False, poll_delay=0.05, **arguments)


async def test_a_zombie_changes_nothing(redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters) -> None:
    go_on = asyncio.Event()

    async def slow(ctx: Ctx) -> str:
        await go_on.wait()
        return "zombie"

    await put(redis, "j", "slow")
    zombie = make_worker([func(slow, name="slow")], burst=False)
    await zombie.claim(1)
    [claim] = zombie.leases.held
    zombie.leases.drop(claim)
    # Somebody else has it now.
    await redis.set("arq:in-progress:j", "somebody else")
    go_on.set()
    await asyncio.gather(*zombie.tasks.values())
    assert await redis.get("arq:in-progress:j") == b"somebody else"
    assert await redis.exists("arq:job:j") == 1
    assert await redis.zscore(QUEUE, "j") is not None
    assert await redis.get("arq:result:j") is None


@pytest.mark.parametrize("ending", ["return", "retry", "fail"])
async def test_a_reenqueued_job_survives_the_end_of_its_predecessor(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters, ending: str
) -> None:
    go_on = asyncio.Event()

    async def slow(ctx: Ctx, number: int) -> None:
        assert number == 1
        await go_on.wait()
        if ending == "retry":
            raise Retry
        if ending == "fail":
            raise ValueError

    await put(redis, "j", "slow", 1)
    worker = make_worker([func(slow, name="slow")], burst=False)
    await worker.claim(1)
    # The data are lost while it runs, and its producer enqueues it again.
    await redis.flushall()
    await put(redis, "j", "slow", 2)
    new = await redis.get("arq:job:j"), await redis.zscore(QUEUE, "j")
    go_on.set()
    await asyncio.gather(*worker.tasks.values())
    assert (worker.jobs_complete, worker.jobs_retried, worker.jobs_failed) == {
        "return": (1, 0, 0),
        "retry": (0, 1, 0),
        "fail": (0, 0, 1),
    }[ending]
    assert (await redis.get("arq:job:j"), await redis.zscore(QUEUE, "j")) == new
    assert await redis.get("arq:retry:j") is None
    assert await letters.count() == 0


async def test_a_result_is_kept_though_the_server_lost_everything_else(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    go_on = asyncio.Event()

    async def slow(ctx: Ctx) -> str:
        await go_on.wait()
        return "kept"

    await put(redis, "j", "slow")
    worker = make_worker([func(slow, name="slow")], burst=False)
    await worker.claim(1)
    await redis.flushall()
    go_on.set()
    await asyncio.gather(*worker.tasks.values())
    assert await Job("j", redis, _deserializer=job_deserializer).result(poll_delay=0) == "kept"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("ending", ["return", "retry", "hand back", "fail"])
async def test_an_ending_whose_answer_is_cut_off_is_recorded_once(
    redis: ArqRedis, proxy: Proxy, letters: DeadLetters, when: Any, ending: str
) -> None:
    runs: list[int] = []

    async def job(ctx: Ctx) -> str:
        runs.append(ctx["job_try"])
        if len(runs) == 1:
            # From now on: the ending's call is cut, the next one passes.
            cut.append(proxy.on(b"EVALSHA", "reset", when=when))
            if ending == "retry":
                raise Retry
            if ending == "hand back":
                raise HandBack
            if ending == "fail":
                raise ValueError("no")
        return "done"

    cut: list[Any] = []
    await put(redis, "j", "job")
    worker = through(proxy, [func(job, name="job")])
    async with serving(worker):
        await eventually(lambda: redis.exists("arq:result:j"))
    await worker.close()
    assert cut[0].done == 1
    assert runs == {"return": [1], "retry": [1, 2], "hand back": [1, 1], "fail": [1]}[ending]
    assert await letters.count() == (ending == "fail")
    assert await redis.keys("arq:in-progress:*") == []


async def test_a_claim_whose_answer_is_cut_off_is_handed_back_uncharged(redis: ArqRedis, proxy: Proxy) -> None:
    tries: list[int] = []

    async def note(ctx: Ctx) -> None:
        tries.append(ctx["job_try"])

    worker = through(proxy, [func(note, name="note", max_tries=1)])
    async with serving(worker):
        await eventually(lambda: worker.idle)
        cut = proxy.on(b"EVALSHA", "reset", when="after")
        for number in range(5):
            await put(redis, f"j{number}", "note")
        await eventually(lambda: len(tries) == 5, within_s=5)
    await worker.close()
    assert cut.done == 1
    assert tries == [1] * 5


async def test_a_claim_that_a_hung_server_executes_too_late_takes_nothing(redis: ArqRedis) -> None:
    await put(redis, "j", "fine")
    lease_ms, limit, most_bytes, *others = 10_000, 1, 1000, 0, 2, 5, 0, 10_000, 1_000_000, 0
    late = now_ms() - 1
    answer = await run_script(redis, "claim", [QUEUE], ["token", lease_ms, limit, most_bytes, late, *others])
    assert answer[1] == b"late"
    assert await redis.exists("arq:in-progress:j") == 0
    in_time = now_ms() + 60_000
    answer = await run_script(redis, "claim", [QUEUE], ["token", lease_ms, limit, most_bytes, in_time, *others])
    assert [job[1] for job in answer[4]] == [b"j"]
