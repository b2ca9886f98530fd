"""A shift: jobs that real workers do while something happens to their servers, and what PostgreSQL says afterwards."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.fleet import OURS, WorkerProcess, moment
from tests.acceptance.judge import Judge, Stored, dead_letters, everything_in
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Mapping
    from uuid import UUID

    from tests.acceptance.conftest import StartWorkers
    from tests.acceptance.fleet import Command as Start

MEETINGS = 5
STATES = (MeetingState.RECORDING, MeetingState.STOPPING, MeetingState.STOPPED, MeetingState.COMPLETED)
COMPLETED = ("COMPLETED", 1 + len(STATES), len(STATES))
"""State, version and sequence of a meeting that made all its moves."""
GENEROUS: Mapping[str, str] = {
    "DATABASE_COMMAND_TIMEOUT_S": "10",
    "DATABASE_POOL_TIMEOUT_S": "10",
    "RETRY_BUDGET_S": "20",
    "JOB_TIMEOUT_S": "60",
}
IMPATIENT: Mapping[str, str] = {
    "DATABASE_LOCK_TIMEOUT_S": "0.2",
    "DATABASE_COMMAND_TIMEOUT_S": "1",
    "DATABASE_POOL_TIMEOUT_S": "1",
    "RETRY_BUDGET_S": "1",
}
"""With these a mishap that outlasts every budget of a claim need not last long."""


@dataclass(frozen=True)
class Shift:
    """Two workers, the jobs that were enqueued for them, and the segments that those promise."""

    judge: Judge
    redis_url: str
    workers: list[WorkerProcess]
    promised: Stored
    jobs: int

    def told(self, action: str, holding: str = "") -> list[WorkerProcess]:
        """The workers that logged such an action, its line holding these words."""
        return [worker for worker in self.workers if any(holding in json.dumps(line) for line in worker.lines(action))]

    async def ended(self) -> None:
        """Return when every promise is kept, so far as the number of things can tell, and nothing waits."""
        await eventually(self._all_done, within_s=90, every_s=0.1)

    async def verdict(self, *, every_try_is_the_first: bool = True) -> None:
        """Nothing lost, doubled or changed; no job failed or was charged; both workers stayed, and felt the mishap."""
        meetings = dict.fromkeys(self.promised, COMPLETED)
        moves = len(STATES) * len(meetings)
        assert await self.judge.segments() == self.promised
        assert await self.judge.meetings() == meetings
        assert await self.judge.writes() == {"segments INSERT": 3 * (self.jobs - moves), "meetings UPDATE": moves}
        async with Redis.from_url(self.redis_url) as redis:
            assert not await dead_letters(self.judge, redis)
            kept = await everything_in(redis)
        results = [json.loads(value) for key, value in kept.items() if key.startswith("arq:result:")]
        assert len(results) == self.jobs
        assert all(result["s"] for result in results)
        assert not every_try_is_the_first or {result["t"] for result in results} == {1}
        assert not [key for key in kept if key.startswith(("arq:job:", "arq:in-progress:"))]
        assert all(worker.process.poll() is None and len(worker.lines("worker.ready")) == 1 for worker in self.workers)
        assert self._was_felt(), "the mishap came too late to be one"
        assert not [line for worker in self.workers for line in worker.lines("storage.down") if "job" in line]

    def resumed_after(self, at: float) -> float:
        """Seconds from a moment to the first job completed after it."""
        completed = [moment(line) for worker in self.workers for line in worker.lines("job.completed")]
        return min((then for then in completed if then > at), default=at) - at

    async def _all_done(self) -> bool:
        completed = set((await self.judge.meetings()).values()) == {COMPLETED}
        stored = await self.judge.count() == sum(map(len, self.promised.values()))
        async with Redis.from_url(self.redis_url) as redis:
            return completed and stored and await redis.zcard("arq:queue") == 0

    def _was_felt(self) -> bool:
        return bool(self.told("attempt.unavailable") or self.told("attempt.conflict") or self.told("job.handed_back"))


async def begin_shift(
    judge: Judge,
    redis_url: str,
    start_workers: StartWorkers,
    *,
    jobs: int,
    database_url: str = "",
    command: Start = OURS,
    settings: Mapping[str, str] | None = None,
) -> Shift:
    """Start two workers, led to `database_url` if not to the judge's; return when they have stored something."""
    workers = await start_workers(
        database_url or judge.database_url,
        redis_url,
        number=2,
        command=command,
        settings={**GENEROUS, **(settings or {})},
    )
    meetings = [await judge.new_meeting() for _ in range(MEETINGS)]
    await judge.watch()
    commands, promised = _work(meetings, jobs)
    async with JobClient.from_url(redis_url) as client:
        await client.enqueue_many(commands)
    await eventually(judge.count)
    return Shift(judge, redis_url, workers, promised, jobs)


def _work(meetings: list[UUID], jobs: int) -> tuple[list[Command], Stored]:
    """So many jobs, the moves of each meeting spread among its segments; and the segments that they promise."""
    commands: list[Command] = []
    promised: Stored = {meeting: {} for meeting in meetings}
    each = jobs // len(meetings)
    for number in range(each):
        for meeting in map(MeetingId, meetings):
            if number % (each // len(STATES)) == 0:
                sequence = number // (each // len(STATES)) + 1
                commands.append(ChangeMeetingState(meeting, STATES[sequence - 1], sequence))
                continue
            texts = {number * 3 + place: f"sentence {number * 3 + place}" for place in range(3)}
            promised[meeting] |= texts
            commands.append(IngestSegments(meeting, tuple(_segment(meeting, *each) for each in texts.items())))
    assert len(commands) == jobs
    return commands, promised


def _segment(meeting: MeetingId, number: int, text: str) -> Segment:
    return Segment(meeting, number, text, float(number), number + 1.0)
