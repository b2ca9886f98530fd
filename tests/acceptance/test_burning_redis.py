"""Redis loses everything in the middle of the work. What was asked for through the outbox is done once, by itself."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from tests.acceptance.burning import Producer, producer_for
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.acceptance.conftest import StartWorkers
    from tests.acceptance.fleet import WorkerProcess
    from tests.conftest import OwnRedis
    from worker.embedded import EmbeddedRedis

BATCHES = 100
MEETINGS = 4
WITHIN_S = 60.0


async def flushed(redis: EmbeddedRedis) -> None:
    """FLUSHALL, three times over."""
    for _ in range(3):
        async with Redis.from_url(redis.url()) as client:
            await client.flushall()
        await asyncio.sleep(0.3)


async def restarted_empty(redis: EmbeddedRedis) -> None:
    """A crash and a restart without persistence."""
    await asyncio.to_thread(redis.kill, signal.SIGKILL)
    await asyncio.to_thread(redis.start)


@pytest.mark.parametrize("burn", [flushed, pytest.param(restarted_empty, marks=pytest.mark.slow)])
async def test_everything_is_applied_once_within_a_minute_and_nobody_does_anything(
    burn: Callable[[EmbeddedRedis], Awaitable[None]],
    database_url: str,
    own_redis: OwnRedis,
    start_workers: StartWorkers,
) -> None:
    redis = own_redis()
    producer = await producer_for(database_url, MEETINGS)
    workers = await start_workers(database_url, redis.url(), number=2)
    producing = asyncio.create_task(producer.produce(BATCHES, pause_s=0.01))
    await eventually(lambda: producer.has_applied(50), within_s=30.0)
    await burn(redis)
    burnt_at = time.monotonic()
    await producing
    await eventually(producer.is_done, within_s=WITHIN_S, every_s=0.1)

    print(f"all {producer.asked} jobs were applied {time.monotonic() - burnt_at:.1f} s after Redis had lost them")
    await producer.verdict()
    _stayed(workers)


async def test_jobs_that_waited_in_a_lost_redis_are_done_although_no_producer_says_anything_more(
    database_url: str, own_redis: OwnRedis, start_workers: StartWorkers
) -> None:
    redis = own_redis()
    producer = await producer_for(database_url, MEETINGS)
    workers = await start_workers(database_url, redis.url(), settings={"MAX_JOBS": "1"})
    # The worker stands still while all of it goes to Redis by another's relay, and burns there.
    await _stop_between_transactions(workers[0], producer)
    try:
        await producer.produce(BATCHES)
        relays = await start_workers(database_url, redis.url(), settings={"QUEUE_NAME": "another"})
        async with Redis.from_url(redis.url()) as client:
            await eventually(lambda: _dispatched(producer), within_s=30.0)
            relays[0].stop()
            await client.flushall()
    finally:
        os.kill(workers[0].pid, signal.SIGCONT)
    burnt_at = time.monotonic()
    await eventually(producer.is_done, within_s=WITHIN_S, every_s=0.1)
    print(f"all {producer.asked} jobs were applied {time.monotonic() - burnt_at:.1f} s after Redis had lost them")
    await producer.verdict()
    _stayed(workers)
    assert workers[0].lines("outbox.restored")


async def _stop_between_transactions(worker: WorkerProcess, producer: Producer) -> None:
    """Freeze it, but not as the one relay that all others would have to wait for until it is given up."""
    busy = "SELECT FROM pg_stat_activity WHERE application_name LIKE 'noteflow-worker%' AND state <> 'idle'"
    while True:
        os.kill(worker.pid, signal.SIGSTOP)
        if not await producer.judge.ask(busy):
            return
        os.kill(worker.pid, signal.SIGCONT)
        await asyncio.sleep(0.01)


def _stayed(workers: list[WorkerProcess]) -> None:
    for worker in workers:
        assert worker.process.poll() is None
        assert len(worker.lines("worker.ready")) == 1
        assert worker.lines("job.dead") == []


async def _dispatched(producer: Producer) -> bool:
    return not await producer.judge.ask("SELECT FROM outbox WHERE state <> 'dispatched' LIMIT 1")
