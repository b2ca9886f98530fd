"""PostgreSQL goes away while workers are busy: no job fails for it, none is applied twice, no worker ends."""

from __future__ import annotations

import json
from functools import partial
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.fleet import OURS, STOCK, WorkerProcess, moment
from tests.acceptance.judge import Judge, dead_letters, everything_in
from tests.acceptance.mishaps import fast_restart, immediate_restart, killed_backend, outage, terminated_sessions
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from uuid import UUID

    from tests.acceptance.conftest import StartWorkers
    from tests.acceptance.fleet import Command as Start
    from tests.conftest import OwnPostgres
    from worker.embedded import EmbeddedPostgres

MEETINGS = 5
STATES = (MeetingState.RECORDING, MeetingState.STOPPING, MeetingState.STOPPED, MeetingState.COMPLETED)
COMPLETED = ("COMPLETED", 1 + len(STATES), len(STATES))
"""State, version and sequence of a meeting that made all its moves."""
RESUMED_WITHIN_S = 6.0
"""Two seconds is what a free machine shows; the tests' machine is seldom free."""


@pytest.mark.parametrize(
    ("command", "jobs", "mishap"),
    [
        pytest.param(OURS, 200, outage, id="five seconds away"),
        pytest.param(OURS, 200, partial(outage, seconds=30), id="thirty seconds away", marks=pytest.mark.slow),
        pytest.param(STOCK, 200, outage, id="five seconds away, arq's own worker", marks=pytest.mark.slow),
        pytest.param(OURS, 300, fast_restart, id="restarted", marks=pytest.mark.slow),
        pytest.param(OURS, 300, immediate_restart, id="crashed and restarted"),
        pytest.param(OURS, 300, killed_backend, id="one backend killed", marks=pytest.mark.slow),
        pytest.param(OURS, 300, terminated_sessions, id="all sessions ended again and again", marks=pytest.mark.slow),
    ],
)
async def test_no_job_fails_and_none_is_applied_twice_and_no_worker_ends(
    command: Start,
    jobs: int,
    mishap: Callable[[EmbeddedPostgres], Awaitable[float]],
    own_postgres: OwnPostgres,
    redis_url: str,
    start_workers: StartWorkers,
) -> None:
    postgres = own_postgres()
    judge = Judge(postgres.url("noteflow"))
    workers = await start_workers(judge.database_url, redis_url, number=2, command=command, settings=GENEROUS)
    meetings = [await judge.new_meeting() for _ in range(MEETINGS)]
    await judge.watch()
    commands, promised = work(meetings, jobs)
    async with Redis.from_url(redis_url) as redis, JobClient(redis) as client:
        await client.enqueue_many(commands)
        await eventually(judge.count)
        answered_at = await mishap(postgres)
        await eventually(lambda: all_done(judge, redis, promised), within_s=90, every_s=0.1)
        kept = await everything_in(redis)
        assert not await dead_letters(judge, redis)

    assert await judge.segments() == promised
    assert await judge.meetings() == dict.fromkeys(meetings, COMPLETED)
    moves = MEETINGS * len(STATES)
    assert await judge.writes() == {"segments INSERT": 3 * (jobs - moves), "meetings UPDATE": moves}
    results = [json.loads(value) for key, value in kept.items() if key.startswith("arq:result:")]
    assert results
    assert all(result["s"] for result in results)
    assert not [key for key in kept if key.startswith(("arq:job:", "arq:in-progress:"))]
    assert all(worker.process.poll() is None and len(worker.lines("worker.ready")) == 1 for worker in workers)
    assert felt(workers), "the mishap came too late to be one"
    assert not [line for worker in workers for line in worker.lines("storage.down") if "job" in line]
    print(f"resumed {(resumed_s := resumed_after(workers, answered_at)):.2f} s after PostgreSQL answered")
    assert resumed_s <= RESUMED_WITHIN_S


GENEROUS = {
    "DATABASE_COMMAND_TIMEOUT_S": "10",
    "DATABASE_POOL_TIMEOUT_S": "10",
    "RETRY_BUDGET_S": "20",
    "JOB_TIMEOUT_S": "60",
}


def work(meetings: list[UUID], jobs: int) -> tuple[list[Command], dict[UUID, dict[int, str]]]:
    """So many jobs, the moves of each meeting spread among its segments; and the segments that they promise."""
    commands: list[Command] = []
    promised: dict[UUID, dict[int, str]] = {meeting: {} for meeting in meetings}
    each = jobs // len(meetings)
    for number in range(each):
        for meeting in map(MeetingId, meetings):
            if number % (each // len(STATES)) == 0:
                sequence = number // (each // len(STATES)) + 1
                commands.append(ChangeMeetingState(meeting, STATES[sequence - 1], sequence))
                continue
            texts = {number * 3 + place: f"sentence {number * 3 + place}" for place in range(3)}
            promised[meeting] |= texts
            commands.append(IngestSegments(meeting, tuple(segment(meeting, *each) for each in texts.items())))
    assert len(commands) == jobs
    return commands, promised


def segment(meeting: MeetingId, number: int, text: str) -> Segment:
    return Segment(meeting, number, text, float(number), number + 1.0)


async def all_done(judge: Judge, redis: Redis, promised: dict[UUID, dict[int, str]]) -> bool:
    completed = set((await judge.meetings()).values()) == {COMPLETED}
    stored = await judge.count() == sum(map(len, promised.values()))
    return completed and stored and await redis.zcard("arq:queue") == 0


def felt(workers: list[WorkerProcess]) -> bool:
    """Whether any attempt met a PostgreSQL that could not answer."""
    return any(worker.lines("attempt.unavailable") or worker.lines("job.handed_back") for worker in workers)


def resumed_after(workers: list[WorkerProcess], answered_at: float) -> float:
    """Seconds from PostgreSQL's first answer to the first job completed after it."""
    completed = [moment(line) for worker in workers for line in worker.lines("job.completed")]
    return min((at for at in completed if at > answered_at), default=answered_at) - answered_at
