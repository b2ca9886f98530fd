"""Quarantine: a job whose lease has lapsed too often runs alone, and only there the death of its worker counts."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, abandon, body, has_no_lease, now_ms, put, put_many, serving
from tests.waiting import eventually
from worker.engine import DeadLetters, Options, Worker

QUARANTINE = "arq:quarantine"
BEAT_S = 10.0


class Hall:
    """Where jobs stay until they are told to go, and are counted."""

    def __init__(self) -> None:
        self.inside: set[str] = set()
        self.begun: list[str] = []
        self.go: asyncio.Event = asyncio.Event()
        self.beside: set[frozenset[str]] = set()

    @property
    def function(self) -> Any:
        async def stay(ctx: Ctx) -> None:
            self.inside.add(ctx["job_id"])
            self.begun.append(ctx["job_id"])
            self.beside.add(frozenset(self.inside))
            await self.go.wait()
            await asyncio.sleep(0.01)
            self.inside.discard(ctx["job_id"])

        return func(stay, name="stay")


@pytest.fixture
def hall() -> Hall:
    return Hall()


async def lost(
    redis: Any, job_id: str, crashes: int, *, worker: str = "gone", alone: bool = False, others: Sequence[str] = ()
) -> None:
    """Leave a job as a lost worker leaves it: so many crashes are known, and its lease has lapsed.

    `others` are workers that had their last heartbeat when `worker` had it.
    """
    await redis.set(f"arq:job:{job_id}", body("stay"))
    if crashes:
        await redis.set(f"arq:crashes:{job_id}", crashes)
    score = now_ms() - 1_000 + 0.5
    await redis.zadd(QUEUE, {job_id: score})
    await redis.zadd(f"arq:leases:{QUEUE}", {job_id: score})
    await redis.hset(f"arq:holders:{QUEUE}", job_id, f"{worker}:{now_ms() - 12_000}")
    last_beat = now_ms() - 3 * BEAT_S * 1000
    await redis.zadd("arq:workers", dict.fromkeys((worker, *others), last_beat))
    if alone:
        await redis.hset(QUARANTINE, worker, job_id)


async def claimed(worker: Worker) -> list[tuple[str, int]]:
    batch = await worker.claim(10)
    abandon(worker)
    return [(claim.job_id, claim.crashes) for claim in batch.claims]


async def test_a_job_in_quarantine_runs_alone_and_all_else_after_it(
    redis: ArqRedis, make_worker: MakeWorker, hall: Hall, letters: DeadLetters
) -> None:
    for number in range(3):
        await lost(redis, f"s{number}", crashes=1)
    worker = make_worker([hall.function], burst=False)
    async with serving(worker):
        await eventually(lambda: len(hall.inside) == 1)
        await put_many(redis, 5, "stay")
        await eventually(lambda: redis.zcount(QUEUE, "-inf", now_ms()))
        assert len(hall.inside) == 1
        hall.go.set()
        await eventually(lambda: worker.jobs_complete == 8)
    assert worker.jobs_failed == 0
    assert await letters.count() == 0
    assert all(len(together) == 1 or not any(each.startswith("s") for each in together) for together in hall.beside)
    assert await redis.keys("arq:crashes:*") == []


async def test_a_busy_worker_takes_no_more_jobs_until_it_is_empty_for_one_in_quarantine(
    redis: Any, make_worker: MakeWorker, hall: Hall
) -> None:
    worker = make_worker([hall.function], burst=False, max_jobs=2)
    await put_many(redis, 2, "stay")
    async with serving(worker):
        await eventually(lambda: len(hall.inside) == 2)
        await lost(redis, "s", crashes=1)
        await put_many(redis, 50, "stay", prefix="more")
        hall.go.set()
        await eventually(lambda: worker.jobs_complete == 53)
    assert [together for together in hall.beside if "s" in together] == [frozenset({"s"})]
    assert hall.begun.index("s") < 10
    assert await redis.exists("arq:quarantine:turn") == 0


async def test_one_worker_at_a_time_empties_itself_and_takes_the_job_before_all_others(
    redis: Any, make_worker: MakeWorker, hall: Hall
) -> None:
    first, second = (make_worker([hall.function], burst=False, max_jobs=2) for _ in range(2))
    for worker, prefix in ((first, "a"), (second, "b")):
        await put(redis, prefix, "stay")
        await worker.claim(1)
    await lost(redis, "s", crashes=1)
    for worker in (first, second):
        await eventually(lambda worker=worker: _meets(redis, worker))  # type: ignore[misc]
    assert (first.runs.claims_nothing, second.runs.claims_nothing) == (True, False)
    hall.go.set()
    await eventually(lambda: first.jobs_complete == 1)
    await put_many(redis, 5, "stay")
    batch = await first.claim(2)
    assert [claim.job_id for claim in batch.claims] == ["s"]
    assert first.runs.claims_nothing
    assert await redis.hgetall(QUARANTINE) == {first.worker_id.encode(): b"s"}
    await eventually(lambda: first.jobs_complete == 2)
    assert not first.runs.claims_nothing
    await first.claim(2)
    assert await redis.exists(QUARANTINE) == 0


async def _meets(redis: Any, worker: Worker) -> bool:
    """Let a worker claim when the job that must run alone is due."""
    if (await redis.zscore(QUEUE, "s")) <= now_ms():
        assert (await worker.claim(1)).claims == []
        return True
    return False


async def test_each_empty_worker_takes_one(redis: ArqRedis, make_worker: MakeWorker, hall: Hall) -> None:
    for number in range(2):
        await lost(redis, f"s{number}", crashes=1)
    first, second = (make_worker([hall.function], burst=False) for _ in range(2))
    async with serving(first):
        await eventually(lambda: len(hall.inside) == 1)
        async with serving(second):
            await eventually(lambda: len(hall.inside) == 2)
            hall.go.set()
            await eventually(lambda: first.jobs_complete == second.jobs_complete == 1)


async def test_a_job_that_is_put_off_counts_no_crash(redis: ArqRedis, make_worker: MakeWorker, hall: Hall) -> None:
    await put(redis, "other", "stay")
    worker = make_worker([hall.function], burst=False)
    await worker.claim(1)
    await lost(redis, "s", crashes=1)
    for _ in range(3):
        assert (await worker.claim(5)).claims == []
    assert await redis.get("arq:crashes:s") == b"1"
    assert await redis.exists("arq:in-progress:s") == 0
    hall.go.set()
    await eventually(lambda: worker.jobs_complete == 1)


@pytest.mark.parametrize(
    ("known", "alone", "others", "counted"),
    [
        (0, False, (), 1),
        (2, True, (), 3),
        (2, False, (), 2),
        (2, True, ("neighbour",), 2),
        (4, True, (), 5),
        (4, False, (), 4),
    ],
    ids=["first", "alone", "not alone", "with others", "the last", "not the last"],
)
async def test_a_crash_counts_in_quarantine_only_where_the_job_ran_alone_and_no_other_worker_was_lost(
    redis: ArqRedis, make_worker: MakeWorker, hall: Hall, known: int, alone: bool, others: tuple[str, ...], counted: int
) -> None:
    await lost(redis, "s", crashes=known, alone=alone, others=others)
    assert await claimed(make_worker([hall.function], burst=False)) == [("s", counted)]


async def test_a_worker_that_claims_was_not_lost_however_late_its_heartbeat_is(
    redis: Any, make_worker: MakeWorker, hall: Hall
) -> None:
    worker = make_worker([hall.function], burst=False)
    await lost(redis, "s", crashes=2, alone=True, others=(worker.worker_id,))
    assert await claimed(worker) == [("s", 3)]


async def test_two_killers_that_run_alone_at_the_same_time_are_both_counted(
    redis: Any, make_worker: MakeWorker, hall: Hall
) -> None:
    await lost(redis, "s", crashes=2, worker="first", alone=True, others=("second",))
    await redis.hset(QUARANTINE, "second", "t")
    assert await claimed(make_worker([hall.function], burst=False)) == [("s", 3)]


async def test_a_job_in_quarantine_waits_while_its_worker_may_come_back(
    redis: Any, make_worker: MakeWorker, hall: Hall
) -> None:
    await lost(redis, "s", crashes=2, alone=True)
    await redis.set("arq:worker:gone", "{}", px=60_000)
    worker = make_worker([hall.function], burst=False)
    assert await claimed(worker) == []
    assert await redis.get("arq:crashes:s") == b"2"
    assert (await redis.zscore(QUEUE, "s")) > now_ms()
    await redis.delete("arq:worker:gone")
    await redis.zadd(QUEUE, {"s": now_ms() - 0.5})
    assert await claimed(worker) == [("s", 3)]


async def test_a_stalled_worker_takes_its_job_in_quarantine_back(
    redis: ArqRedis, make_worker: MakeWorker, hall: Hall
) -> None:
    await lost(redis, "s", crashes=1)
    stalled = make_worker([hall.function], burst=False, options=Options(lease_s=0.3))
    stalled.leases.start = lambda: None  # type: ignore[method-assign]  # no renewals and no heartbeats: it stands still
    await stalled.claim(1)
    await redis.set(f"arq:worker:{stalled.worker_id}", "{}", px=60_000)
    await eventually(lambda: has_no_lease(redis, "s"))
    other = make_worker([hall.function], burst=False)
    assert await claimed(other) == []
    del stalled.leases.start
    stalled.leases.start()
    await eventually(lambda: redis.exists("arq:in-progress:s"))
    hall.go.set()
    await eventually(lambda: stalled.jobs_complete == 1)
    await eventually(lambda: redis.exists("arq:result:s"))
    assert other.jobs_complete == 0


async def test_a_worker_that_was_told_to_stop_is_no_crash(redis: Any, make_worker: MakeWorker, hall: Hall) -> None:
    await lost(redis, "s", crashes=1)
    stopped = make_worker([hall.function], burst=False, options=Options(lease_s=0.3))
    await stopped.claim(1)
    assert await redis.hexists(QUARANTINE, stopped.worker_id)
    stopped.allow_pick_jobs = False
    stopped.leases.beat_soon()
    await eventually(lambda: _is_not_in(redis, stopped.worker_id))
    abandon(stopped)  # killed before it could give the job back
    await eventually(lambda: has_no_lease(redis, "s"))
    await eventually(lambda: _claims(make_worker([hall.function], burst=False), [("s", 2)]))


async def _is_not_in(redis: Any, worker_id: str) -> bool:
    return not await redis.hexists(QUARANTINE, worker_id)


async def _claims(worker: Worker, expected: list[tuple[str, int]]) -> bool:
    return await claimed(worker) == expected


async def test_a_lapsed_lease_of_a_living_worker_is_no_crash(redis: Any, make_worker: MakeWorker, hall: Hall) -> None:
    await lost(redis, "s", crashes=0)
    await redis.zadd("arq:workers", {"gone": now_ms()})  # its heartbeat came after the lease had lapsed
    assert await claimed(make_worker([hall.function], burst=False)) == [("s", 0)]
    assert await redis.exists("arq:crashes:s") == 0


async def test_a_job_in_quarantine_whose_lease_was_given_up_does_not_keep_its_worker_from_claiming(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    go_on = asyncio.Event()

    async def stubborn(ctx: Ctx) -> None:
        while not go_on.is_set():
            try:
                await go_on.wait()
            except asyncio.CancelledError:
                continue

    await lost(redis, "s", crashes=1)
    await redis.set("arq:job:s", body("stubborn"))
    options = Options(lease_s=0.3, overrun_s=0.1)

    async def fine(ctx: Ctx) -> None:
        return

    functions = [func(stubborn, name="stubborn", timeout=0.1), func(fine, name="fine")]
    worker = make_worker(functions, burst=False, options=options)
    async with serving(worker):
        await eventually(lambda: worker.job_counter == 1)
        await put(redis, "next", "fine")
        await eventually(lambda: worker.jobs_complete >= 1)
        go_on.set()


@pytest.mark.parametrize(("known", "most"), [(0, 3), (2, 5)])
async def test_others_are_taken_together(
    redis: ArqRedis, make_worker: MakeWorker, hall: Hall, known: int, most: int
) -> None:
    for number in range(4):
        await lost(redis, f"s{number}", crashes=known)
    worker = make_worker([hall.function], burst=False, options=Options(max_crashes=most))
    async with serving(worker):
        await eventually(lambda: len(hall.inside) == 4)
        hall.go.set()


async def test_with_one_crash_allowed_the_second_worker_that_is_lost_ends_the_job(
    redis: ArqRedis, make_worker: MakeWorker, hall: Hall, letters: DeadLetters
) -> None:
    await lost(redis, "s", crashes=1, alone=True)
    worker = make_worker([hall.function], burst=False, options=Options(max_crashes=1))
    async with serving(worker):
        await eventually(lambda: letters.count())
    letter = await letters.show("s")
    assert letter is not None
    assert letter.reason == "1 workers died running only this job"


async def test_an_empty_worker_takes_the_jobs_of_one_queue_if_the_other_is_none(
    redis: Any, make_worker: MakeWorker, hall: Hall
) -> None:
    await lost(redis, "suspect", crashes=1)
    await redis.set(QUEUE, "no queue")
    await put(redis, "other", "stay", queue="low")
    worker = make_worker([hall.function], burst=False, options=Options(more_queues=("low",)))
    worker.runs.emptying = True
    assert await claimed(worker) == [("other", 0)]
