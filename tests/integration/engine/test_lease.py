from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, Slow, abandon, has_no_lease, now_ms, put, serving
from tests.waiting import eventually
from worker.engine import DeadLetters, Options, Worker

SHORT = Options(lease_s=0.6)


async def hold_lease_of(redis: ArqRedis, job_id: str) -> int:
    return int(await redis.pttl(f"arq:in-progress:{job_id}"))


async def test_a_lease_is_renewed_for_as_long_as_the_job_runs(redis: ArqRedis, make_worker: MakeWorker) -> None:
    slow = Slow()
    await put(redis, "j", "slow")
    worker = make_worker([slow.function], burst=False, options=SHORT)
    async with serving(worker):
        await eventually(lambda: worker.job_counter == 1)
        rounds = worker.leases.rounds
        await eventually(lambda: worker.leases.rounds >= rounds + 5)
        assert await hold_lease_of(redis, "j") > 200
        assert (await redis.zscore(QUEUE, "j") or 0) > now_ms()
        slow.go_on.set()
        await eventually(lambda: worker.jobs_complete == 1)


async def test_a_job_that_blocks_the_loop_keeps_its_lease(redis: ArqRedis, make_worker: MakeWorker) -> None:
    seen: list[int] = []

    async def block(ctx: Ctx) -> None:
        rounds = worker.leases.rounds
        while worker.leases.rounds < rounds + 4:
            time.sleep(0.01)
        seen.append(worker.leases.rounds - rounds)

    await put(redis, "j", "block")
    worker = make_worker([func(block, name="block")], burst=False, options=SHORT)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 1)
    # Four thirds of the lease have passed, and the ending was still accepted.
    assert seen == [4]
    assert await redis.exists("arq:result:j")
    assert await redis.exists("arq:crashes:j") == 0


async def test_a_job_past_its_timeout_loses_its_lease(redis: ArqRedis, make_worker: MakeWorker) -> None:
    go_on = asyncio.Event()

    async def stubborn(ctx: Ctx) -> None:
        while not go_on.is_set():
            with suppress(asyncio.CancelledError):
                await go_on.wait()

    await put(redis, "j", "stubborn")
    options = Options(lease_s=0.6, overrun_s=0.1)
    worker = make_worker([func(stubborn, name="stubborn", timeout=0.1)], burst=False, options=options)
    await worker.claim(1)
    await eventually(lambda: not worker.leases.held)
    await eventually(lambda: has_no_lease(redis, "j"))
    go_on.set()
    await asyncio.gather(*worker.tasks.values())


async def test_a_lost_lease_cancels_the_run(redis: ArqRedis, make_worker: MakeWorker) -> None:
    cancelled = asyncio.Event()

    async def slow(ctx: Ctx) -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
            raise

    await put(redis, "j", "slow")
    worker = make_worker([func(slow, name="slow")], burst=False, options=SHORT)
    async with serving(worker):
        await eventually(lambda: worker.job_counter == 1)
        await redis.set("arq:in-progress:j", "somebody else", px=60_000)
        await asyncio.wait_for(cancelled.wait(), 5)
        await eventually(lambda: not worker.tasks)
    assert await redis.get("arq:in-progress:j") == b"somebody else"
    assert await redis.get("arq:result:j") is None
    assert (worker.jobs_complete, worker.jobs_failed) == (0, 0)


async def test_a_lease_that_ran_out_unseen_is_taken_back(redis: ArqRedis, make_worker: MakeWorker) -> None:
    slow = Slow()
    await put(redis, "j", "slow")
    worker = make_worker([slow.function], burst=False, options=SHORT)
    async with serving(worker):
        await eventually(lambda: worker.job_counter == 1)
        await redis.delete("arq:in-progress:j")
        await eventually(lambda: redis.exists("arq:in-progress:j"))
        slow.go_on.set()
        await eventually(lambda: worker.jobs_complete == 1)
    assert await redis.exists("arq:result:j")


async def test_the_job_of_a_dead_worker_runs_elsewhere_and_keeps_its_tries(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    go_on = asyncio.Event()
    seen: list[tuple[str, int]] = []

    async def slow(ctx: Ctx) -> None:
        seen.append((ctx["worker"], ctx["job_try"]))
        if ctx["worker"] == "dead":
            await go_on.wait()

    await put(redis, "j", "slow")
    functions = [func(slow, name="slow", max_tries=1, timeout=3600)]
    dead = make_worker(functions, burst=False, options=SHORT, ctx={"worker": "dead"})
    await dead.claim(1)
    abandon(dead)
    alive = make_worker(functions, burst=False, poll_delay=30, options=SHORT, ctx={"worker": "alive"})
    async with serving(alive):
        await eventually(lambda: alive.jobs_complete == 1, within_s=3)
    assert seen == [("dead", 1), ("alive", 1)]
    go_on.set()
    await asyncio.gather(*dead.tasks.values())


async def test_three_deaths_of_workers_that_ran_only_this_job_make_a_dead_letter_and_others_flow_on(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    async def die(ctx: Ctx) -> None:
        await asyncio.Event().wait()

    async def fine(ctx: Ctx) -> None:
        return

    functions = [func(die, name="die"), func(fine, name="fine")]
    await put(redis, "killer", "die")
    options = Options(lease_s=0.05, beat_s=0.02)
    for _ in range(5):  # two before the job is in quarantine, three there
        await eventually(lambda: _all_heartbeats_are_stale(redis), within_s=3)
        victim = make_worker(functions, burst=False, options=options)
        await eventually(lambda victim=victim: _claimed(victim), within_s=3)  # type: ignore[misc]
        abandon(victim)
    worker = make_worker(functions, burst=False, options=options)
    async with serving(worker):
        await put(redis, "good", "fine")
        await eventually(lambda: letters.show("killer"))
        await eventually(lambda: worker.jobs_complete == 1)
    letter = await letters.show("killer")
    assert letter is not None
    assert letter.reason == "3 workers died running only this job"
    assert (letter.crashes, letter.tries) == (5, 1)
    told = [each.error.rpartition(".")[2] for each in letter.errors]
    assert told == ["WorkerDied"] * 5 + ["JobExecutionFailed"]


async def _all_heartbeats_are_stale(redis: ArqRedis) -> bool:
    """Tell whether the next worker is not lost at the same time as those before it."""
    return not await redis.zcount("arq:workers", now_ms() - 100, "+inf")


async def _claimed(worker: Worker) -> bool:
    if not worker.tasks:
        await worker.claim(1)
    return bool(worker.tasks)


async def test_the_lease_thread_ends_with_its_worker(make_worker: MakeWorker) -> None:
    async def fine(ctx: Ctx) -> None:
        return

    worker = make_worker([func(fine, name="fine")], burst=False)
    async with serving(worker):
        await eventually(lambda: worker.leases.rounds > 0)
    await worker.close()
    assert "leases" not in {thread.name for thread in threading.enumerate()}


@pytest.mark.parametrize("bad", [ConnectionError("gone"), ValueError("bug")])
async def test_the_lease_thread_survives_faults(
    redis: ArqRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch, bad: Exception
) -> None:
    async def fine(ctx: Ctx) -> None:
        return

    worker = make_worker([func(fine, name="fine")], burst=False, options=SHORT)
    faults = iter([bad, bad])
    beat = worker.leases._beat
    assert beat is not None

    def fail_twice(client: object) -> None:
        for fault in faults:
            raise fault
        beat(client)

    monkeypatch.setattr(worker.leases, "_beat", fail_twice)
    async with serving(worker):
        await eventually(lambda: worker.leases.rounds > 0)
