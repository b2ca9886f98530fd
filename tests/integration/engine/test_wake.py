from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import func
from redis.exceptions import ResponseError

from tests.conftest import OwnRedis
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, command_counts, put, serving
from tests.waiting import eventually
from worker.engine import Options, Worker, wake
from worker.engine.claims import Batch

SLOW = Options(idle_poll_s=30.0)


@pytest.fixture
def started() -> asyncio.Queue[float]:
    return asyncio.Queue()


@pytest.fixture
def noting(started: asyncio.Queue[float]) -> Any:
    async def note(ctx: Ctx) -> None:
        started.put_nowait(time.monotonic())

    return func(note, name="note")


async def is_idle(redis: ArqRedis, worker: Worker) -> None:
    """Return when the worker has asked to be called."""
    await eventually(lambda: tracking_clients(redis))
    await eventually(lambda: worker.idle)


async def let_default_user(redis: Any, rule: str) -> None:
    await redis.execute_command("ACL", "SETUSER", "default", rule)


async def tracking_clients(redis: ArqRedis) -> bool:
    return any(client["flags"].count("t") for client in await redis.client_list())


async def test_a_plain_producer_wakes_an_idle_worker_without_a_poll(
    redis: ArqRedis, make_worker: MakeWorker, noting: Any, started: asyncio.Queue[float]
) -> None:
    worker = make_worker([noting], burst=False, poll_delay=30, options=SLOW)
    async with serving(worker):
        for _ in range(3):
            await is_idle(redis, worker)
            await redis.enqueue_job("note")
            await asyncio.wait_for(started.get(), 5)


async def test_a_deferred_job_starts_when_it_is_due(
    redis: ArqRedis, make_worker: MakeWorker, noting: Any, started: asyncio.Queue[float]
) -> None:
    worker = make_worker([noting], burst=False, poll_delay=30, options=SLOW)
    async with serving(worker):
        await is_idle(redis, worker)
        enqueued = time.monotonic()
        await redis.enqueue_job("note", _defer_by=0.3)
        begun = await asyncio.wait_for(started.get(), 5)
    assert begun - enqueued >= 0.29


async def test_a_freed_slot_takes_the_next_job_at_once(
    redis: ArqRedis, make_worker: MakeWorker, noting: Any, started: asyncio.Queue[float]
) -> None:
    worker = make_worker([noting], burst=False, poll_delay=30, max_jobs=1, options=SLOW)
    async with serving(worker):
        for number in range(20):
            await put(redis, f"j{number}", "note")
        for _ in range(20):
            await asyncio.wait_for(started.get(), 5)


def has_done(worker: Worker, count: int) -> bool:
    return worker.jobs_complete == count and not worker.tasks and worker.idle


async def test_a_worker_with_room_claims_once_for_each_call_and_not_when_a_job_ends(
    redis: ArqRedis, make_worker: MakeWorker, noting: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker([noting], burst=False, poll_delay=30, options=replace(SLOW, lease_s=90.0, beat_s=90.0))
    claims: list[int] = []
    claim = worker.claim

    async def counting(limit: int, ids: list[bytes] | None = None) -> Batch:
        claims.append(limit)
        return await claim(limit, ids)

    async with serving(worker):
        await is_idle(redis, worker)
        for number in range(1, 12):
            await put(redis, f"j{number}", "note", in_ms=-10)  # or it may be claimed before its millisecond has come
            await eventually(partial(has_done, worker, number))
            if number == 1:  # until it was watched, it looked by itself; and renewing a lease calls too
                await eventually(lambda: worker.leases.rounds)
                monkeypatch.setattr(worker, "claim", counting)
    assert len(claims) == 10


async def test_an_idle_worker_costs_the_slow_poll_and_the_lease(
    redis: ArqRedis, make_worker: MakeWorker, noting: Any
) -> None:
    worker = make_worker([noting], burst=False, options=Options(idle_poll_s=0.05, beat_s=60.0))
    async with serving(worker):
        await is_idle(redis, worker)
        await redis.config_resetstat()
        await eventually(lambda: _called(redis, "zrange", 5))  # what belongs to the start is over
        await redis.config_resetstat()
        await eventually(lambda: _called(redis, "zrange", 20))
        counts = await command_counts(redis)
    busy = {
        name: n for name, n in counts.items() if name not in ("config|resetstat", "config", "info", "zrange", "time")
    }
    assert busy == {}


async def _called(redis: ArqRedis, name: str, times: int) -> bool:
    return (await command_counts(redis)).get(name, 0) >= times


async def test_a_server_that_refuses_tracking_is_polled_and_told_of_once(
    redis: ArqRedis,
    make_worker: MakeWorker,
    noting: Any,
    started: asyncio.Queue[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    await let_default_user(redis, "-client")
    try:
        async with serving(make_worker([noting], burst=False, poll_delay=0.01)):
            for _ in range(3):
                await redis.enqueue_job("note")
                await asyncio.wait_for(started.get(), 5)
    finally:
        await let_default_user(redis, "+client")
    assert caplog.text.count("refuses CLIENT TRACKING") == 1


async def test_wake_up_comes_back_once_the_right_to_it_is_granted(
    redis: ArqRedis,
    make_worker: MakeWorker,
    noting: Any,
    started: asyncio.Queue[float],
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wake, "_ASK_AGAIN_S", 0.05)
    await let_default_user(redis, "-client|tracking")
    try:
        worker = make_worker([noting], burst=False, poll_delay=30, options=SLOW)
        async with serving(worker):
            await eventually(lambda: "refuses CLIENT TRACKING" in caplog.text)
            await let_default_user(redis, "+client|tracking")
            await is_idle(redis, worker)
            await redis.enqueue_job("note")
            await asyncio.wait_for(started.get(), 5)
    finally:
        await let_default_user(redis, "+client|tracking")
    assert caplog.text.count("refuses CLIENT TRACKING") == 1


async def test_a_busy_script_at_the_start_does_not_switch_wake_up_off(
    own_redis: OwnRedis, noting: Any, started: asyncio.Queue[float]
) -> None:
    server = own_redis(settings={"busy-reply-threshold": 1})
    async with ArqRedis.from_url(server.url()) as redis, ArqRedis.from_url(server.url()) as other:
        spinning = asyncio.create_task(other.execute_command("EVAL", "while true do end", 0))
        await eventually(lambda: _is_busy(redis))
        worker = Worker([noting], redis_pool=redis, burst=False, poll_delay=30, handle_signals=False, options=SLOW)
        async with serving(worker):
            await asyncio.sleep(0.3)  # in which the worker asks for tracking, and is refused
            await redis.execute_command("SCRIPT", "KILL")
            with pytest.raises(ResponseError):
                await spinning
            await is_idle(redis, worker)
            await put(redis, "j", "note")
            await asyncio.wait_for(started.get(), 5)
        await worker.close()


async def _is_busy(redis: ArqRedis) -> bool:
    try:
        await redis.ping()
    except ResponseError as error:
        return str(error).startswith("BUSY")
    return False


async def test_a_lost_call_is_made_good_by_the_slow_poll(
    redis: ArqRedis, make_worker: MakeWorker, noting: Any, started: asyncio.Queue[float]
) -> None:
    worker = make_worker([noting], burst=False, poll_delay=30, options=Options(idle_poll_s=0.2))
    async with serving(worker):
        await is_idle(redis, worker)
        await redis.client_kill_filter(skipme=True, _type="normal")
        await put(redis, "j", "note")
        await asyncio.wait_for(started.get(), 5)


async def test_a_worker_whose_redis_was_emptied_writes_its_record_anew_at_once(
    redis: ArqRedis, make_worker: MakeWorker, noting: Any
) -> None:
    worker = make_worker([noting], burst=False, options=Options(beat_s=60.0, lease_s=180.0, idle_poll_s=60.0))
    record = f"arq:worker:{worker.worker_id}"
    async with serving(worker):
        await put(redis, "first", "note")
        await eventually(lambda: worker.jobs_complete == 1)
        await eventually(lambda: redis.exists(record))
        await redis.flushall()
        await eventually(lambda: redis.exists(record))
        await put(redis, "second", "note")
        await eventually(lambda: worker.jobs_complete == 2)


async def test_what_is_due_but_cannot_be_had_does_not_spin(
    redis: ArqRedis, make_worker: MakeWorker, noting: Any, started: asyncio.Queue[float]
) -> None:
    await put(redis, "theirs", "note")
    await redis.psetex("arq:in-progress:theirs", 60_000, b"1")
    worker = make_worker([noting], burst=False, poll_delay=30, options=Options(idle_poll_s=0.2))
    async with serving(worker):
        await is_idle(redis, worker)
        await redis.config_resetstat()
        await eventually(lambda: _called(redis, "zrange", 5))
        assert (await command_counts(redis)).get("evalsha", 0) <= 8
        await put(redis, "ours", "note")
        await asyncio.wait_for(started.get(), 5)
    assert await redis.zcard(QUEUE) == 1
