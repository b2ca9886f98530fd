"""What the demo asks of PostgreSQL, as the producer's service and as its auditor."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.persistence.engine import create_session_factory
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.persistence.tables import meetings, segments
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork


@dataclass(frozen=True, slots=True)
class Stored:
    """One meeting as it is in the database."""

    meeting: Meeting | None
    segments: Sequence[Segment]
    stored_at_s: dict[int, float]
    """When the statement that stored a segment ran, in Unix time by this machine's clock."""


class Store:
    """Creates, counts, reads and removes the demo's meetings, each in a unit of work of its own."""

    def __init__(self, engine: AsyncEngine, meetings_dir: Path) -> None:
        self._engine = engine
        self._sessions = create_session_factory(engine)
        self._meetings_dir = meetings_dir

    async def create(self, title: str) -> MeetingId:
        """Create a meeting, and say its id once it is committed."""
        async with self._unit() as uow:
            meeting = await uow.meetings.create(Meeting.create(title=title))
            await uow.commit()
            return meeting.id

    async def remove(self, ids: Sequence[MeetingId]) -> None:
        """Delete the meetings and their segments."""
        async with self._unit() as uow:
            for meeting_id in ids:
                await uow.meetings.delete(meeting_id)
            await uow.commit()

    async def count(self, ids: Sequence[MeetingId]) -> dict[MeetingId, int]:
        """How many segments each meeting has; one that has none is not listed."""
        query = (
            select(segments.c.meeting_id, func.count())
            .where(segments.c.meeting_id.in_(ids))
            .group_by(segments.c.meeting_id)
        )
        async with self._connection() as connection:
            return {MeetingId(meeting_id): number for meeting_id, number in await connection.execute(query)}

    async def read(self, meeting_id: MeetingId, clock_lead_s: float) -> Stored:
        """The meeting and everything stored for it; `clock_lead_s` is taken off the server's times."""
        query = select(segments.c.segment_id, segments.c.stored_at).where(segments.c.meeting_id == meeting_id)
        async with self._unit() as uow, self._connection() as connection:
            return Stored(
                await uow.meetings.get(meeting_id),
                await uow.segments.get_by_meeting(meeting_id),
                {number: at.timestamp() - clock_lead_s for number, at in await connection.execute(query)},
            )

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
    async def holding(self, ids: Sequence[MeetingId]) -> AsyncIterator[None]:
        """Lock the meetings' rows for the block: whoever stores something of theirs waits in mid-transaction."""
        query = select(meetings.c.id).where(meetings.c.id.in_(ids)).order_by(meetings.c.id).with_for_update()
        async with self._connection() as connection:
            await connection.execute(query)
            yield

    async def waiting_transactions(self, pid: int) -> int:
        """How many transactions of the worker process `pid` wait for a lock."""
        query = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'noteflow-worker % ' || :pid AND wait_event_type = 'Lock'"
        )
        async with self._connection() as connection:
            return int((await connection.execute(query, {"pid": str(pid)})).scalar_one())

    @asynccontextmanager
    async def _connection(self) -> AsyncIterator[AsyncConnection]:
        with translated():
            async with self._engine.connect() as connection:
                yield connection

    def _unit(self) -> SqlAlchemyUnitOfWork:
        return SqlAlchemyUnitOfWork(self._sessions, self._meetings_dir)
