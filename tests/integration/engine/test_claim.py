from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import arq.worker
import pytest
from arq.connections import ArqRedis
from arq.jobs import Job, JobStatus
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, command_counts, now_ms, put, put_many, serving
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.engine import Options, Worker


def recording(ran: list[str]) -> Any:
    async def note(ctx: Ctx) -> None:
        ran.append(ctx["job_id"])

    return func(note, name="note")


async def test_eight_workers_run_each_job_once_and_waste_no_command(redis: ArqRedis, make_worker: MakeWorker) -> None:
    ran: list[str] = []
    await put_many(redis, 800, "note")
    workers = [make_worker([recording(ran)], max_jobs=10) for _ in range(8)]
    await redis.config_resetstat()
    await asyncio.gather(*[worker.main() for worker in workers])
    assert Counter(ran) == {f"j{n}": 1 for n in range(800)}
    counts = await command_counts(redis)
    # One lease taken and one result written for each job, and nothing tried in vain.
    health_lines, marks = counts["psetex"], 1
    assert counts["set"] <= 2 * 800 + health_lines + marks
    assert "watch" not in counts
    assert "get" not in counts


async def test_a_tenth_of_a_round_trip_a_job_under_load(redis: ArqRedis, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy:
        pool = ArqRedis.from_url(proxy.url)
        worker = Worker([recording([])], redis_pool=pool, max_jobs=50, handle_signals=False)
        async with serving(worker):
            await eventually(lambda: worker.idle)
            proxy.forget()
            await put_many(redis, 1000, "note")
            await eventually(lambda: worker.jobs_complete == 1000 and not worker.tasks)
            # Claims, endings, leases, calls, cron and health, all together.
            assert proxy.round_trips <= 100
        await worker.close()


async def test_a_claimed_job_looks_to_stock_clients_as_arqs_does(redis: ArqRedis, make_worker: MakeWorker) -> None:
    go_on = asyncio.Event()

    async def hold(ctx: Ctx) -> str:
        await go_on.wait()
        return "held"

    await put(redis, "j", "hold")
    before = now_ms()
    worker = make_worker([func(hold, name="hold")], burst=False)
    async with serving(worker):
        job = Job("j", redis)
        await eventually(lambda: _is_in_progress(job))
        score = await redis.zscore(QUEUE, "j")
        assert score is not None
        assert before + 9_000 < score < now_ms() + 11_000
        token = await redis.get("arq:in-progress:j")
        assert token is not None
        owner, _, claimed_ms = token.decode().rpartition(":")
        assert owner == worker.worker_id
        assert before <= int(claimed_ms) <= now_ms()
        go_on.set()
        await eventually(lambda: redis.exists("arq:result:j"))
    assert await redis.zscore(QUEUE, "j") is None


async def _is_in_progress(job: Job) -> bool:
    return await job.status() is JobStatus.in_progress


async def test_running_jobs_never_hide_those_that_wait(redis: ArqRedis, make_worker: MakeWorker) -> None:
    go_on = asyncio.Event()
    ran: list[str] = []

    async def hold(ctx: Ctx) -> None:
        await go_on.wait()

    functions = [func(hold, name="hold"), recording(ran)]
    await put_many(redis, 300, "hold", prefix="h")
    busy = [make_worker(functions, burst=False, max_jobs=100) for _ in range(3)]
    async with serving(*busy):
        await eventually(lambda: sum(worker.job_counter for worker in busy) == 300)
        await put(redis, "last", "note")
        async with serving(make_worker(functions, burst=False)):
            await eventually(lambda: ran == ["last"])
        go_on.set()
        await eventually(lambda: sum(worker.jobs_complete for worker in busy) == 300)


async def test_a_batch_is_bounded_by_the_bytes_of_its_bodies(redis: ArqRedis, make_worker: MakeWorker) -> None:
    for number in range(10):
        await put(redis, f"j{number}", "note", x="x" * 1000)
    worker = make_worker([recording([])], options=Options(claim_bytes=2500))
    batch = await worker.claim(10)
    assert len(batch.claims) == 3
    assert batch.more


async def test_upper_queues_are_served_first(redis: ArqRedis, make_worker: MakeWorker) -> None:
    ran: list[str] = []
    await put_many(redis, 5, "note", queue="low", prefix="l")
    await put_many(redis, 5, "note", queue="high", prefix="h")
    options = Options(more_queues=("low",), lower_queue_share=0.0)
    await make_worker([recording(ran)], queue_name="high", max_jobs=1, options=options).main()
    assert [job_id[0] for job_id in ran] == list("hhhhhlllll")


async def test_a_lower_queue_keeps_its_share_of_the_slots(redis: ArqRedis, make_worker: MakeWorker) -> None:
    go_on = asyncio.Event()

    async def hold(ctx: Ctx) -> None:
        await go_on.wait()

    await put_many(redis, 50, "hold", queue="high", prefix="h")
    await put_many(redis, 50, "hold", queue="low", prefix="l")
    options = Options(more_queues=("low",), lower_queue_share=0.2)
    worker = make_worker([func(hold, name="hold")], queue_name="high", burst=False, max_jobs=10, options=options)
    async with serving(worker):
        await eventually(lambda: worker.job_counter == 10)
        assert Counter(claim.queue for claim in worker.leases.held) == {1: 8, 2: 2}
        go_on.set()
        await eventually(lambda: worker.jobs_complete == 100)


async def test_a_lower_queue_is_not_starved_by_an_upper_one_that_is_never_empty(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    ran: list[str] = []

    async def more(ctx: Ctx) -> None:
        ran.append("upper")
        await put(redis, f"h{len(ran) + 1}", "more", queue="high")

    await put_many(redis, 2, "more", queue="high", prefix="h")
    await put(redis, "low", "note", queue="low")
    worker = make_worker(
        [func(more, name="more"), recording(ran)],
        queue_name="high",
        burst=False,
        max_jobs=1,
        options=Options(more_queues=("low",), lower_queue_share=0.1),
    )
    async with serving(worker):
        await eventually(lambda: "low" in ran)
    # One slot, a tenth of which is the lower queue's: by chance, but not by much of it.
    assert len(ran) < 300


async def test_a_share_that_nobody_needs_is_not_kept_free(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await put_many(redis, 10, "note", queue="high")
    options = Options(more_queues=("low",), lower_queue_share=0.5)
    worker = make_worker([recording([])], queue_name="high", max_jobs=10, options=options)
    assert len((await worker.claim(10)).claims) == 10


async def test_two_slots_too_many_are_never_claimed(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await put_many(redis, 20, "note")
    worker = make_worker([recording([])])
    assert len((await worker.claim(7)).claims) == 7


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")
async def test_a_mixed_fleet_runs_each_job_once(redis: ArqRedis, redis_url: str, make_worker: MakeWorker) -> None:
    ran: list[str] = []
    for number in range(200):
        await redis.enqueue_job("note", _job_id=f"j{number}")
    stock = [
        arq.worker.Worker([recording(ran)], redis_pool=ArqRedis.from_url(redis_url), burst=True, poll_delay=0)
        for _ in range(2)
    ]
    await asyncio.gather(*[worker.main() for worker in (*stock, make_worker([recording(ran)]))])
    assert Counter(ran) == {f"j{n}": 1 for n in range(200)}
    for worker in stock:
        await worker.close()


async def test_a_job_that_a_stock_worker_runs_is_left_to_it(redis: ArqRedis, make_worker: MakeWorker) -> None:
    ran: list[str] = []
    await put(redis, "theirs", "note")
    await redis.psetex("arq:in-progress:theirs", 60_000, b"1")
    await put_many(redis, 100, "note")
    worker = make_worker([recording(ran)], burst=False)
    async with serving(worker):
        await eventually(lambda: len(ran) == 100)
    assert "theirs" not in ran
    assert await redis.get("arq:in-progress:theirs") == b"1"
