"""Meetings to work on, and a judge who asks PostgreSQL and nobody else."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.answers import Enqueued
from noteflow.infrastructure.queue.client import JobClient
from tests.databases import driver_url

if TYPE_CHECKING:
    from noteflow.domain.commands import Command
    from noteflow.domain.value_objects import MeetingId

SEGMENTS_PER_JOB = 5


@dataclass
class Workload:
    """Enqueues jobs for one meeting, and remembers what it was promised."""

    database_url: str
    redis_url: str
    meeting: Meeting = field(default_factory=lambda: Meeting.create(title="Under load"))
    promised: dict[int, str] = field(default_factory=dict)
    state: MeetingState = MeetingState.CREATED
    moves: int = 0

    async def create_meeting(self) -> MeetingId:
        """Store the meeting."""
        engine = create_engine(self.database_url, pool_size=1)
        try:
            async with SqlAlchemyUnitOfWork(create_session_factory(engine), Path()) as uow:
                await uow.meetings.create(self.meeting)
                await uow.commit()
        finally:
            await engine.dispose()
        return self.meeting.id

    async def enqueue_segments(self, jobs: int) -> None:
        """Enqueue jobs of five new segments each."""
        batches: list[Command] = []
        for _ in range(jobs):
            first = len(self.promised)
            texts = {number: f"Sentence {number}." for number in range(first, first + SEGMENTS_PER_JOB)}
            self.promised.update(texts)
            batches.append(IngestSegments(self.meeting.id, tuple(self._segment(*each) for each in texts.items())))
        await self._enqueue(batches)

    async def enqueue_state(self, state: MeetingState) -> None:
        """Enqueue the meeting's next move."""
        self.moves += 1
        self.state = state
        await self._enqueue([ChangeMeetingState(self.meeting.id, state, sequence=self.moves)])

    async def stored(self) -> int:
        """How many segments PostgreSQL holds."""
        return len(await self._rows())

    async def is_done(self) -> bool:
        """Whether every promise is kept, so far as the number of things can tell."""
        state, _ = await self._meeting()
        return state == self.state and await self.stored() >= len(self.promised)

    async def judge(self) -> None:
        """Nothing lost, nothing doubled, nothing changed, every move made once."""
        rows = await self._rows()
        assert dict(rows) == self.promised
        assert len(rows) == len(self.promised)
        # A meeting is born with version 1, and each move that is stored adds 1.
        assert await self._meeting() == (self.state, 1 + self.moves)

    async def _enqueue(self, commands: list[Command]) -> None:
        async with JobClient.from_url(self.redis_url) as client:
            answers = await client.enqueue_many(commands)
        assert all(isinstance(answer, Enqueued) for answer in answers)

    async def _rows(self) -> list[tuple[int, str]]:
        query = "SELECT segment_id, text FROM segments WHERE meeting_id = $1"
        return [(row["segment_id"], row["text"]) for row in await self._fetch(query)]

    async def _meeting(self) -> tuple[str, int]:
        (row,) = await self._fetch("SELECT state, version FROM meetings WHERE id = $1")
        return row["state"], row["version"]

    async def _fetch(self, query: str) -> list[asyncpg.Record]:
        connection = await asyncpg.connect(driver_url(self.database_url))
        try:
            return list(await connection.fetch(query, self.meeting.id))
        finally:
            await connection.close()

    def _segment(self, number: int, text: str) -> Segment:
        return Segment(self.meeting.id, number, text, float(number), number + 0.5)
