"""Meetings in PostgreSQL. A change is stored only over the version that was read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, overload

from sqlalchemy import RowMapping, delete, func, insert, select

from noteflow.domain.entities import Meeting
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.meeting_update import MeetingUpdate
from noteflow.infrastructure.persistence.tables import meetings
from noteflow.infrastructure.persistence.transaction import Transaction


class MeetingRepository:
    """The meetings of one unit of work. With `lock_rows` a meeting that is read stays ours until the unit ends."""

    def __init__(self, transaction: Transaction, *, lock_rows: bool = False, job_id: str | None = None) -> None:
        self._transaction = transaction
        self._lock_rows = lock_rows
        self._job_id = job_id

    async def create(self, meeting: Meeting) -> Meeting:
        """Store a new meeting. Raises RejectedByStorage if its id is taken."""
        await self._transaction.run(insert(meetings), _columns(meeting))
        meeting.moves.clear()
        return meeting

    async def get(self, meeting_id: MeetingId) -> Meeting | None:
        """The meeting as it is stored, or None."""
        if self._lock_rows:
            # Not the stronger FOR UPDATE, for which the foreign keys of arriving segments would have to wait.
            locking = select(meetings).where(meetings.c.id == meeting_id).with_for_update(key_share=True)
            row = (await self._transaction.run(locking)).mappings().one_or_none()
            return _meeting(row) if row is not None else None
        rows = await self._transaction.glance("SELECT * FROM meetings WHERE id = $1", meeting_id)
        return _meeting(rows[0]) if rows else None

    async def update(self, meeting: Meeting) -> Meeting:
        """Store a changed meeting and raise its version. Raises ConcurrencyConflict if it was changed meanwhile.

        The version is compared and raised whatever was changed, also when nothing was. In the unit of a job this
        happens with the commit.
        """
        if self._transaction.defers(MeetingUpdate):
            await self._transaction.flush()
        self._transaction.defer(MeetingUpdate(meeting, self._job_id))
        if self._job_id is None:
            await self._transaction.flush()
        return meeting

    async def missing_batches(self, meeting: Meeting) -> tuple[int, ...]:
        """The numbers of the batches that are expected and not stored yet, in order."""
        rows = await self._transaction.glance(
            "SELECT missing_batches($1, $2) AS missing", meeting.id, meeting.expected_batches or 0
        )
        return tuple(rows[0]["missing"])

    async def delete(self, meeting_id: MeetingId) -> bool:
        """Delete a meeting and its segments. Says whether there was one."""
        result = await self._transaction.run(delete(meetings).where(meetings.c.id == meeting_id))
        return result.rowcount > 0

    async def list(
        self, *, states: Iterable[MeetingState] | None = None, limit: int = 100, offset: int = 0
    ) -> list[Meeting]:
        """Meetings, the newest first, of the given states or of all."""
        query = select(meetings).order_by(meetings.c.created_at.desc(), meetings.c.id).limit(limit).offset(offset)
        if states is not None:
            query = query.where(meetings.c.state.in_(sorted(states)))
        return [_meeting(row) for row in (await self._transaction.run(query)).mappings()]

    @overload
    async def count_by_state(self) -> dict[MeetingState, int]: ...
    @overload
    async def count_by_state(self, state: MeetingState) -> int: ...
    async def count_by_state(self, state: MeetingState | None = None) -> dict[MeetingState, int] | int:
        """How many meetings are in each state, or in the one asked for."""
        query = select(meetings.c.state, func.count().label("number")).group_by(meetings.c.state)
        if state is not None:
            query = query.where(meetings.c.state == state)
        counted: dict[str, int] = {row.state: row.number for row in await self._transaction.run(query)}
        if state is not None:
            return counted.get(state, 0)
        return {each: counted.get(each, 0) for each in MeetingState}


def _columns(meeting: Meeting) -> dict[str, Any]:
    return {
        "id": meeting.id,
        "title": meeting.title,
        "state": meeting.state.value,
        "version": meeting.version,
        "sequence": meeting.sequence,
        "created_at": meeting.created_at,
        "started_at": meeting.started_at,
        "ended_at": meeting.ended_at,
        "expected_batches": meeting.expected_batches,
    }


def _meeting(row: Mapping[str, Any] | RowMapping) -> Meeting:
    return Meeting(
        id=MeetingId(row["id"]),
        title=row["title"],
        state=MeetingState(row["state"]),
        version=row["version"],
        sequence=row["sequence"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        ended_at=row["ended_at"],
        expected_batches=row["expected_batches"],
    )
