"""What is claimed ahead of the slots: as much as is about to end, never for long, never charged."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, put, put_many, serving
from tests.waiting import eventually
from worker.engine import Options, Worker
from worker.engine.claims import Why


class Held:
    """A function whose jobs run until told; `tries` has each that began."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.tries: dict[str, int] = {}

    @property
    def function(self) -> Any:
        async def hold(ctx: Ctx) -> None:
            self.tries[ctx["job_id"]] = ctx["job_try"]
            await self.go_on.wait()

        return func(hold, name="hold", max_tries=1)


async def claimed_ahead(
    make_worker: MakeWorker, redis: ArqRedis, held: Held, *, patience_s: float = 60.0, **knobs: Any
) -> Worker:
    """A worker of one slot, which has claimed three jobs, and begun the first."""
    await put_many(redis, 3, "hold")
    options = Options(slot_patience_s=patience_s, **knobs)
    worker = make_worker([held.function], burst=False, max_jobs=1, options=options)
    await worker.claim(3)
    await eventually(lambda: list(held.tries) == ["j0"])
    return worker


async def test_under_a_backlog_of_short_jobs_no_slot_waits_for_a_claim_and_no_more_than_allowed_run(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    running = most = 0
    waited: list[int] = []

    async def short(ctx: Ctx) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        waited.append(len(worker.line))
        await asyncio.sleep(0)
        running -= 1

    worker = make_worker([func(short, name="short")], burst=False, max_jobs=4, options=Options(slot_patience_s=60))
    for _ in range(10):
        worker.line.note_claim(1.0)  # as over a slow network, however fast this machine is today
    await put_many(redis, 1_000, "short")
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 1_000 and not worker.tasks)
    assert most == 4
    assert max(waited) >= 1
    assert len(worker.line) == 0
    assert await redis.keys("arq:handed-back:*") == []


async def test_of_long_jobs_none_is_claimed_before_there_is_a_slot(redis: ArqRedis, make_worker: MakeWorker) -> None:
    held = Held()
    await put_many(redis, 5, "hold")
    worker = make_worker([held.function], burst=False, max_jobs=2)
    async with serving(worker):
        await eventually(lambda: len(held.tries) == 2)
        assert worker.line.room == 0
        assert len(await redis.keys("arq:in-progress:*")) == 2
        held.go_on.set()
        await eventually(lambda: worker.jobs_complete == 5)


async def test_what_waits_runs_in_order_as_slots_become_free(redis: ArqRedis, make_worker: MakeWorker) -> None:
    held = Held()
    worker = await claimed_ahead(make_worker, redis, held)
    assert worker.health.record()["running"] == ["j0"]
    held.go_on.set()
    await eventually(lambda: worker.jobs_complete == 3)
    assert held.tries == {"j0": 1, "j1": 1, "j2": 1}
    assert list(held.tries) == ["j0", "j1", "j2"]


async def test_what_waits_in_vain_goes_back_to_its_place_uncharged_and_others_run_it(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    held, other = Held(), Held()
    worker = await claimed_ahead(make_worker, redis, held, patience_s=0.05)
    other.go_on.set()
    await eventually(lambda: redis.exists("arq:handed-back:j2"))
    assert await redis.zscore(QUEUE, "j1") == worker.leases.held[0].score
    for _ in range(1_000):
        worker.line.note_end()
        worker.line.note_claim(1.0)
    assert worker.line.room == 0, "it has just been judged wrong"
    async with serving(make_worker([other.function], burst=False)):
        await eventually(lambda: other.tries == {"j1": 1, "j2": 1})
    assert await redis.hget("arq:handed-back:j1", "n:no_slot") == b"1"  # type: ignore[misc]
    held.go_on.set()


async def test_a_worker_that_handed_them_back_claims_them_again_when_it_has_slots(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    held = Held()
    worker = await claimed_ahead(make_worker, redis, held, patience_s=0.05, idle_poll_s=60)
    async with serving(worker):
        await eventually(lambda: len(worker.line) == 0)
        held.go_on.set()
        await eventually(lambda: worker.jobs_complete == 3)
    assert set(held.tries.values()) == {1}


@pytest.mark.parametrize("stop", ["drain", "close"])
async def test_a_worker_that_stops_hands_back_at_once_what_waits(
    redis: ArqRedis, make_worker: MakeWorker, stop: str
) -> None:
    held = Held()
    worker = await claimed_ahead(make_worker, redis, held)
    if stop == "drain":
        worker.allow_pick_jobs = False
        draining = asyncio.create_task(worker._drain.wait(signal.SIGTERM, 30))
        await eventually(lambda: redis.exists("arq:handed-back:j2"))
        assert await redis.exists("arq:in-progress:j0"), "what runs is let finish"
        held.go_on.set()
        await draining
    await worker.close()
    assert list(held.tries) == ["j0"]
    assert await redis.hget("arq:handed-back:j1", "n:drain") == b"1"  # type: ignore[misc]
    assert await redis.keys("arq:in-progress:*") == []
    assert set(await redis.zrange(QUEUE, 0, -1)) >= {b"j1", b"j2"}


async def test_while_the_gate_is_shut_nothing_that_waits_begins(redis: ArqRedis, make_worker: MakeWorker) -> None:
    held = Held()
    worker = await claimed_ahead(make_worker, redis, held, patience_s=0.5)
    worker.options.gate.close("the database")
    held.go_on.set()
    await eventually(lambda: redis.exists("arq:handed-back:j2"))
    assert worker.jobs_complete == 1
    assert list(held.tries) == ["j0"]


async def test_a_gate_that_was_shut_for_a_moment_leaves_nothing_waiting(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    held = Held()
    worker = await claimed_ahead(make_worker, redis, held, patience_s=0.1, idle_poll_s=60)
    worker.options.gate.close("the database")
    held.go_on.set()
    await eventually(lambda: worker.jobs_complete == 1 and not worker.tasks)
    worker.options.gate.open("the database")
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 3)


async def test_what_somebody_else_has_claimed_meanwhile_is_not_begun(redis: ArqRedis, make_worker: MakeWorker) -> None:
    held = Held()
    worker = await claimed_ahead(make_worker, redis, held)
    [lost] = [claim for claim in worker.leases.held if claim.job_id == "j1"]
    worker.leases.drop(lost)
    worker.runs.lost_elsewhere(lost)
    held.go_on.set()
    await eventually(lambda: worker.jobs_complete == 2)
    assert list(held.tries) == ["j0", "j2"]


async def test_jobs_in_quarantine_that_wait_for_a_slot_count_until_they_are_given_back(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    held = Held()
    worker = make_worker([held.function], burst=False, options=Options(slot_patience_s=60))
    worker.max_jobs = 0
    await redis.set("arq:crashes:s", 1)
    await put(redis, "s", "hold")
    await redis.zadd(QUEUE, {"s": 1.5})  # as a worker that died leaves it
    await worker.claim(1)
    assert (len(worker.line), worker.runs.suspects) == (1, 1)
    worker.line.hand_back(Why.NO_SLOT)
    assert (len(worker.line), worker.runs.suspects) == (0, 0)
