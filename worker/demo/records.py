"""What PostgreSQL knows of the demo's meetings and of their jobs: the auditor's only source."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_session_factory
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.persistence.job_tables import dead_letters, job_ledger
from noteflow.infrastructure.persistence.tables import meeting_history, segments
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from worker.demo.moves import Move


@dataclass(frozen=True, slots=True)
class Entry:
    """A finished job in the ledger: whose transaction committed it, and when, in Unix time by the server's clock."""

    worker: str
    committed_at_s: float


@dataclass(frozen=True, slots=True)
class Stored:
    """One meeting as it is in the database: its segments as they come back, and the moves it made, oldest first."""

    meeting: Meeting | None
    segments: Sequence[Segment]
    moves: Sequence[Move]


class Records:
    """Reads, and changes nothing."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def count(self, ids: Sequence[MeetingId]) -> dict[MeetingId, int]:
        """How many segments each meeting has; one that has none is not listed."""
        table = segments.c
        query = select(table.meeting_id, func.count()).where(table.meeting_id.in_(ids)).group_by(table.meeting_id)
        async with self._connection() as connection:
            return {MeetingId(meeting_id): number for meeting_id, number in await connection.execute(query)}

    async def ledger(self, ids: Sequence[MeetingId]) -> dict[str, Entry]:
        """The finished jobs of the meetings, by their ids."""
        query = select(job_ledger).where(job_ledger.c.meeting_id.in_(ids))
        async with self._connection() as connection:
            rows = await connection.execute(query)
            return {row.job_id: Entry(row.worker, row.committed_at.timestamp()) for row in rows}

    async def dead(self, ids: Sequence[MeetingId]) -> set[str]:
        """The jobs of the meetings that were given up."""
        query = select(dead_letters.c.job_id).where(dead_letters.c.meeting_id.in_(ids))
        async with self._connection() as connection:
            return set(await connection.scalars(query))

    async def read(self, meeting_id: MeetingId) -> Stored:
        """The meeting and everything stored for it."""
        history = meeting_history.c
        query = (
            select(history.to_state, history.version)
            .where(history.meeting_id == meeting_id)
            .order_by(history.version, history.step)
        )
        # Nothing of a meeting's files is read, so any folder will do.
        async with SqlAlchemyUnitOfWork(create_session_factory(self._engine), ".") as uow:
            meeting = await uow.meetings.get(meeting_id)
            stored = await uow.segments.get_by_meeting(meeting_id)
        async with self._connection() as connection:
            moves = [Move(MeetingState(state), version) for state, version in await connection.execute(query)]
        return Stored(meeting, stored, moves)

    async def clock_lead_s(self) -> float:
        """How far the server's clock is ahead of this machine's, in seconds, by the quickest of a few questions."""
        asked: list[tuple[float, float]] = []
        async with self._connection() as connection:
            for _ in range(5):
                before_s = time.time()
                there: datetime = (await connection.execute(select(func.clock_timestamp()))).scalar_one()
                after_s = time.time()
                asked.append((after_s - before_s, there.astimezone(UTC).timestamp() - (before_s + after_s) / 2))
        return min(asked)[1]

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        with translated():
            async with self._engine.connect() as connection:
                yield connection
