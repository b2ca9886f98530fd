"""Leases that ran out while their worker lives: who has a job then, and who must stop."""

from __future__ import annotations

import asyncio
import threading
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, Slow, has_no_lease, now_ms, put, serving
from tests.waiting import eventually
from worker.engine import Options


async def lapse(redis: Any, job_id: str, *, cut: bool = False) -> None:
    """Let a lease run out at once, as on a server that has come back with older data, `cut`: all connections too."""
    async with redis.pipeline(transaction=True) as pipe:
        if cut:
            pipe.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        pipe.delete(f"arq:in-progress:{job_id}")
        pipe.zadd(QUEUE, {job_id: now_ms() - 100.5})
        await pipe.execute()


async def test_a_run_that_was_lost_before_it_began_does_not_begin(redis: ArqRedis, make_worker: MakeWorker) -> None:
    async def never(ctx: Ctx) -> None:
        raise AssertionError("it must not start")

    await put(redis, "j", "never")
    await redis.zadd(QUEUE, {"j": 0.5})  # parked: its worker died, and it is first looked up with whom it was lost
    worker = make_worker([func(never, name="never")], burst=False)
    await worker.claim(1)
    [claim] = worker.leases.held
    worker.runs.lost_elsewhere(claim)
    await asyncio.wait(worker.tasks.values())
    assert (worker.jobs_complete, worker.jobs_failed) == (0, 0)
    assert await redis.exists("arq:job:j")


async def test_a_worker_that_stood_still_for_longer_than_its_lease_renews_before_it_claims(
    redis: ArqRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    moving, slow = threading.Event(), Slow()
    moving.set()
    await put(redis, "j", "slow")
    worker = make_worker([slow.function], burst=False, options=Options(lease_s=0.6))
    renew = worker.leases._round

    def renew_when_it_moves(client: Any, call: int) -> None:
        moving.wait()  # as a thread does of a process that was stopped, or whose interpreter was held by one call
        renew(client, call)

    monkeypatch.setattr(worker.leases, "_round", renew_when_it_moves)
    async with serving(worker):
        await eventually(lambda: slow.begun == ["j"])
        moving.clear()
        await eventually(lambda: has_no_lease(redis, "j"))
        await eventually(lambda: worker.leases.overdue)
        await put(redis, "k", "slow")
        worker.wanted.set()
        await asyncio.sleep(0.1)
        moving.set()
        await eventually(lambda: len(slow.begun) == 2)
        assert slow.begun == ["j", "k"]
        slow.go_on.set()
        await eventually(lambda: worker.jobs_complete == 2)
    assert await redis.keys("arq:crashes:*") == []


async def test_of_two_runs_in_one_worker_only_that_is_stopped_which_has_lost_its_lease(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    slow = Slow()
    await put(redis, "j", "slow")
    worker = make_worker([slow.function], burst=False, options=Options(lease_s=30))
    await worker.claim(1)
    await eventually(lambda: len(slow.begun) == 1)
    first = worker.tasks["j"]
    await lapse(redis, "j")
    await worker.claim(1)
    await eventually(lambda: len(slow.begun) == 2)
    worker.leases.renew_soon()
    await asyncio.wait_for(first, 5)
    slow.go_on.set()
    await eventually(lambda: worker.jobs_complete == 1)
    await eventually(lambda: redis.exists("arq:result:j"))


async def test_leases_are_renewed_before_claiming_where_the_server_may_be_another(
    redis: Any, make_worker: MakeWorker
) -> None:
    slow = Slow()
    await put(redis, "j", "slow")
    options = Options(lease_s=30, idle_poll_s=30)
    worker = make_worker([slow.function], burst=False, poll_delay=30, options=options)
    async with serving(worker):
        await eventually(lambda: slow.begun and worker.waits and worker.leases.rounds)
        rounds = worker.leases.rounds
        await lapse(redis, "j", cut=True)
        await eventually(lambda: worker.leases.rounds > rounds)
        await put(redis, "k", "slow")
        await eventually(lambda: "k" in slow.begun)
        assert slow.begun == ["j", "k"]
        slow.go_on.set()
        await eventually(lambda: worker.jobs_complete == 2)
    assert await redis.keys("arq:crashes:*") == []
