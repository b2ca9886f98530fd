"""What the demo does in PostgreSQL itself: the producer's meetings, and a lock that makes workers wait."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from sqlalchemy import delete, select, text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.entities import Meeting
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.persistence.engine import create_session_factory
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.persistence.job_tables import dead_letters, job_ledger, outbox
from noteflow.infrastructure.persistence.tables import meetings
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork


class Store:
    """Creates and removes the demo's meetings, and can make whoever writes to them wait."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine
        self._sessions = create_session_factory(engine)

    async def create(self, title: str) -> MeetingId:
        """Create a meeting, in a unit of work of its own, and say its id once it is committed."""
        # Nothing of a meeting's files is touched, so any folder will do.
        async with SqlAlchemyUnitOfWork(self._sessions, ".") as uow:
            meeting = await uow.meetings.create(Meeting.create(title=title))
            await uow.commit()
            return meeting.id

    async def remove(self, ids: Sequence[MeetingId]) -> None:
        """Delete the meetings, and everything that is known of their jobs."""
        with translated():
            async with self._engine.begin() as connection:
                for table in (outbox, job_ledger, dead_letters):
                    await connection.execute(delete(table).where(table.c.meeting_id.in_(ids)))
                await connection.execute(delete(meetings).where(meetings.c.id.in_(ids)))

    @asynccontextmanager
    async def holding(self, ids: Sequence[MeetingId]) -> AsyncIterator[None]:
        """Lock the meetings' rows for the block: whoever stores something of theirs waits in mid-transaction."""
        query = select(meetings.c.id).where(meetings.c.id.in_(ids)).order_by(meetings.c.id).with_for_update()
        with translated():
            async with self._engine.connect() as connection:
                await connection.execute(query)
                yield

    async def waiting_transactions(self, pid: int) -> int:
        """How many transactions of the worker process `pid` wait for a lock."""
        query = text(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND application_name LIKE 'noteflow-worker % ' || :pid AND wait_event_type = 'Lock'"
        )
        with translated():
            async with self._engine.connect() as connection:
                return int((await connection.execute(query, {"pid": str(pid)})).scalar_one())
