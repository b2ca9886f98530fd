"""A small stage for one fault: watched workers without a supervisor, a few jobs, and the same judge."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from uuid import uuid4

from redis.asyncio import Redis

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.manager import ROOT, environment
from tests.chaos.acknowledged import Acknowledged
from tests.chaos.effects import Effects, effects_in, prepare
from tests.chaos.fleet import BRISK
from tests.chaos.judge import Verdict, judge
from tests.chaos.peace import is_quiet
from tests.chaos.traps import Trap
from tests.chaos.witness import Account
from tests.chaos.workload import MARK
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from noteflow.domain.commands import Command
    from tests.chaos.witness import Point

LEASE_S = 2.0
PATIENCE_S = 60.0
"""For what takes seconds on an idle machine."""


@dataclass
class Scene:
    """One meeting on a database and a Redis, and all that was enqueued for it."""

    database_url: str
    redis_url: str
    folder: Path
    meeting: MeetingId = field(default_factory=lambda: MeetingId(uuid4()))
    records: list[Acknowledged] = field(default_factory=list)
    moves: int = 0
    segments: int = 0

    def __post_init__(self) -> None:
        self.account = Account(self.folder / "witness")

    async def begin(self) -> None:
        """Store the meeting, and begin the judge's record."""
        await prepare(self.database_url, [self.meeting])

    @contextmanager
    def workers(
        self, number: int, *, database_url: str = "", redis_url: str = "", **settings: str
    ) -> Iterator[list[int]]:
        """Run so many workers, perhaps led through proxies, and yield their process ids."""
        told = environment(
            database_url or self.database_url,
            redis_url or self.redis_url,
            **{"LEASE_S": f"{LEASE_S:g}", **BRISK, **settings},
            CHAOS_FOLDER=str(self.folder),
        )
        command = [sys.executable, "-m", "tests.chaos.worker"]
        log = self.folder / "log"
        with log.open("ab") as output:
            processes = [
                subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=ROOT, env=told)
                for _ in range(number)
            ]
        try:
            yield [process.pid for process in processes]
        except BaseException:
            print(log.read_text(errors="replace")[-8000:])
            raise
        finally:
            for process in processes:
                process.kill()
                process.wait()

    def trap(self, point: Point, number: signal.Signals) -> Trap:
        """Let the next worker that comes to this point of a job meet a signal there."""
        return Trap.set(self.folder, point, number)

    async def caught(self, trap: Trap) -> int:
        """Return the worker that met the signal, once there is one."""
        pid = await eventually(lambda: trap.caught, within_s=PATIENCE_S)
        trap.clear()
        assert pid is not None
        return pid

    def signal(self, pid: int, number: signal.Signals) -> None:
        """Send a worker a signal."""
        os.kill(pid, number)

    def resume(self, pid: int) -> None:
        """Let a stopped worker go on."""
        self.signal(pid, signal.SIGCONT)

    def batch(self, size: int = 3) -> Command:
        """The next segments."""
        numbers = range(self.segments, self.segments + size)
        self.segments += size
        return IngestSegments(
            self.meeting,
            tuple(Segment(self.meeting, each, f"{each}, {MARK}", float(each), each + 0.5) for each in numbers),
        )

    def move(self) -> Command:
        """The next numbered change of state."""
        self.moves += 1
        state = MeetingState.RECORDING if self.moves % 2 else MeetingState.STOPPED
        return ChangeMeetingState(self.meeting, state, sequence=self.moves)

    async def enqueue(self, *commands: Command) -> list[str]:
        """Enqueue, note that it was acknowledged, and return the job ids."""
        async with JobClient.from_url(self.redis_url) as jobs:
            answers = await jobs.enqueue_many(commands)
        self.records += [
            Acknowledged.of(*pair) for pair in zip(commands, (each.job_ids for each in answers), strict=True)
        ]
        return [answer.job_id for answer in answers]

    async def deliver_again(self, job_id: str, body: bytes) -> None:
        """Put a job back into the queue as if it had never run."""
        async with Redis.from_url(self.redis_url) as redis:
            await redis.set(keys.job(job_id), body)
            await redis.zadd(keys.DEFAULT_QUEUE, {job_id: 1})

    async def body(self, job_id: str) -> bytes:
        """A waiting job as it lies in Redis."""
        async with Redis.from_url(self.redis_url) as redis:
            body = await redis.get(keys.job(job_id))
        assert isinstance(body, bytes)
        return body

    async def ended(self, *job_ids: str) -> None:
        """Return when each of the jobs has ended once at least."""
        await eventually(lambda: all(self.account.passed("ended", job) for job in job_ids), within_s=PATIENCE_S)

    async def peace(self) -> None:
        """Return when nothing is left to do."""
        await eventually(lambda: is_quiet(self.database_url, self.redis_url), within_s=PATIENCE_S, every_s=0.05)

    async def effects(self) -> Effects:
        """What the tables say."""
        return await effects_in(self.database_url)

    async def verdict(self) -> Verdict:
        """The judge's word on all that was acknowledged."""
        return judge(self.records, await self.effects())
