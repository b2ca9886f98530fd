"""How workers end: told to, or killed. What they held is finished, handed back, or done by another."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from noteflow.domain.commands import IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.fleet import ODD, OURS, STOCK, WorkerProcess
from tests.acceptance.judge import Judge, dead_letters, everything_in
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID

    from tests.acceptance.conftest import StartWorkers
    from tests.acceptance.fleet import Command

QUICK = {
    "DATABASE_LOCK_TIMEOUT_S": "0.2",
    "DATABASE_COMMAND_TIMEOUT_S": "2",
    "DATABASE_POOL_TIMEOUT_S": "1",
    "RETRY_BUDGET_S": "2",
    "JOB_TIMEOUT_S": "6",
}


@pytest.fixture
def judge(database_url: str) -> Judge:
    return Judge(database_url)


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def test_told_to_stop_a_worker_finishes_what_runs_and_leaves_what_waits(
    either_way: Command, judge: Judge, redis: Redis, redis_url: str, start_workers: StartWorkers
) -> None:
    (worker,) = await start_workers(
        judge.database_url, redis_url, command=ODD[either_way], settings=QUICK | {"ODD_SLEEP_S": "1", "MAX_JOBS": "5"}
    )
    promised = await enqueue(redis, await judge.new_meeting(), jobs=8)
    await eventually(lambda: len(worker.lines("odd.began")) == 5)
    assert await judge.count() == 0

    assert await asyncio.to_thread(worker.stop) == 0
    assert len(worker.lines("job.completed")) == await judge.count() == 5
    assert await redis.zcard("arq:queue") == 3
    assert not traces(await everything_in(redis))

    await start_workers(judge.database_url, redis_url)
    await eventually(lambda: done(redis))
    assert await judge.segments() == promised


async def test_a_job_that_outlasts_the_drain_is_handed_back_at_once(
    either_way: Command, judge: Judge, redis: Redis, redis_url: str, start_workers: StartWorkers
) -> None:
    short = QUICK | {"DRAIN_TIMEOUT_S": "1", "DATABASE_COMMAND_TIMEOUT_S": "0.5", "DATABASE_POOL_TIMEOUT_S": "0.5"}
    long = short | {"JOB_TIMEOUT_S": "900", "ODD_SLEEP_S": "600"}
    (worker,) = await start_workers(judge.database_url, redis_url, command=ODD[either_way], settings=long)
    promised = await enqueue(redis, await judge.new_meeting(), jobs=2)
    await eventually(lambda: len(worker.lines("odd.began")) == 2)

    assert await asyncio.to_thread(worker.stop) == 0
    assert await judge.count() == 0
    assert await redis.zcard("arq:queue") == 2
    assert not traces(await everything_in(redis))
    if either_way is OURS:
        returns = [key async for key in redis.scan_iter("arq:handed-back:*")]
        assert [await redis.hget(key, "n:drain") for key in returns] == [b"1", b"1"]  # type: ignore[misc]

    await start_workers(judge.database_url, redis_url)
    await eventually(lambda: done(redis))
    assert await judge.segments() == promised


async def test_the_worker_that_was_killed_with_a_job_is_named_by_the_next_that_has_it(
    judge: Judge, redis: Redis, redis_url: str, start_workers: StartWorkers
) -> None:
    settings = QUICK | {"LEASE_S": "1", "JOB_TIMEOUT_S": "900", "ODD_SLEEP_S": "600"}
    (killed,) = await start_workers(judge.database_url, redis_url, command=ODD[OURS], settings=settings)
    await enqueue(redis, await judge.new_meeting(), jobs=1)
    await eventually(lambda: killed.lines("odd.began"))
    killed.stop(signal.SIGKILL)
    (heir,) = await start_workers(judge.database_url, redis_url, command=ODD[OURS], settings=settings)
    await eventually(lambda: heir.lines("odd.began"))

    (key,) = [key async for key in redis.scan_iter("arq:errors:*")]
    (told,) = [json.loads(each) for each in await redis.lrange(key, 0, -1)]  # type: ignore[misc]
    assert told["error"].endswith(".WorkerDied")
    assert f":{killed.pid}:" in told["worker"]
    heir.stop(signal.SIGKILL)


@pytest.mark.parametrize("command", [OURS, pytest.param(STOCK, marks=pytest.mark.slow)])
async def test_what_a_killed_worker_held_is_done_by_another_once(
    command: Command, judge: Judge, redis: Redis, redis_url: str, start_workers: StartWorkers
) -> None:
    hasty = QUICK | {"DATABASE_COMMAND_TIMEOUT_S": "0.4", "DATABASE_POOL_TIMEOUT_S": "0.2", "RETRY_BUDGET_S": "0.4"}
    settings = hasty | {"JOB_TIMEOUT_S": "1.1", "LEASE_S": "2", "ODD_SLEEP_S": "0.1"}
    killed, survivor = await start_workers(
        judge.database_url, redis_url, number=2, command=ODD[command], settings=settings
    )
    meeting = await judge.new_meeting()
    await judge.watch()
    promised = await enqueue(redis, meeting, jobs=200)
    await eventually(lambda: len(killed.lines("job.completed")) >= 10 and caught_at_work(killed))
    killed.stop(signal.SIGKILL)

    await eventually(lambda: done(redis), within_s=60, every_s=0.1)
    assert await judge.segments() == promised
    assert survivor.process.poll() is None
    assert await judge.writes() == {"segments INSERT": 200}
    assert not await dead_letters(judge, redis)


async def enqueue(redis: Redis, meeting: UUID, *, jobs: int) -> dict[UUID, dict[int, str]]:
    """Enqueue jobs of one segment; what they promise."""
    texts = {number: f"sentence {number}" for number in range(jobs)}
    await JobClient(redis).enqueue_many(
        IngestSegments(MeetingId(meeting), (Segment(MeetingId(meeting), number, text, float(number), number + 1.0),))
        for number, text in texts.items()
    )
    return {meeting: texts}


async def done(redis: Redis) -> bool:
    return bool(await redis.zcard("arq:queue") == 0)


def traces(kept: dict[str, object]) -> list[str]:
    """What a claim leaves behind that did not end."""
    return [key for key in kept if key.startswith(("arq:in-progress:", "arq:dead:"))]


def caught_at_work(worker: WorkerProcess) -> bool:
    """Stop it where it is, if it is in the middle of a job."""
    os.kill(worker.pid, signal.SIGSTOP)
    if orphans(worker):
        return True
    os.kill(worker.pid, signal.SIGCONT)
    return False


def orphans(worker: WorkerProcess) -> int:
    """How many jobs it had begun and not ended."""
    return len(worker.lines("odd.began")) - len(worker.lines("job.completed"))
