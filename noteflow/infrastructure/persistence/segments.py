"""Segments in PostgreSQL: collected, and stored by one statement whatever their number."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Row, select

from noteflow.domain.entities import Segment, Word
from noteflow.domain.errors import InvalidValue
from noteflow.domain.ports import BatchNumber, Tally
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.persistence.batches import NumberedBatch
from noteflow.infrastructure.persistence.segment_batch import SegmentBatch
from noteflow.infrastructure.persistence.tables import segments
from noteflow.infrastructure.persistence.transaction import Transaction


class SegmentRepository:
    """The segments of one unit of work.

    What is added is stored together, by one statement a meeting, when the unit commits or reads. There it may turn out
    that the meeting does not exist (MeetingNotFound) or that a segment contradicts the stored one (ConflictingContent).
    """

    def __init__(self, transaction: Transaction, job_id: str | None) -> None:
        self._transaction = transaction
        self._job_id = job_id
        self._batch = SegmentBatch()

    @property
    def tally(self) -> Tally:
        """What became of everything added to this unit; complete once it has committed."""
        return self._batch.tally

    async def add(self, meeting_id: MeetingId, segment: Segment) -> Tally:
        """Store one segment."""
        return await self.add_batch(meeting_id, (segment,))

    async def add_batch(
        self, meeting_id: MeetingId, segments: Iterable[Segment], *, number: BatchNumber | None = None
    ) -> Tally:
        """Store segments of one meeting; what is there already is left, or replaced by a higher revision.

        `number` says which of the meeting's numbered batches this is.
        """
        self._transaction.check()
        for place, segment in enumerate(segments):
            if segment.meeting_id is not meeting_id and segment.meeting_id != meeting_id:
                raise InvalidValue(f"segments[{place}].meeting_id", f"must be {meeting_id}")
            if not self._batch.collect(segment):
                # One statement stores segments of one meeting, and cannot meet the same segment twice.
                await self._transaction.flush()
                self._batch.collect(segment)
            self._transaction.defer(self._batch)
        if number is not None:
            if self._transaction.defers(NumberedBatch):
                await self._transaction.flush()
            self._transaction.defer(NumberedBatch(meeting_id, number, self._job_id or ""))
        return self._batch.tally

    def forget(self) -> None:
        """Drop what was added and not stored yet."""
        self._batch.forget()

    async def get_by_meeting(self, meeting_id: MeetingId) -> list[Segment]:
        """The meeting's segments in the order in which they were spoken."""
        query = (
            select(segments)
            .where(segments.c.meeting_id == meeting_id)
            .order_by(segments.c.start_time, segments.c.segment_id)
        )
        return [_segment(row) for row in await self._transaction.run(query)]


def _segment(row: Row[Any]) -> Segment:
    return Segment(
        meeting_id=MeetingId(row.meeting_id),
        segment_id=row.segment_id,
        text=row.text,
        start_time=row.start_time,
        end_time=row.end_time,
        words=tuple(Word(*word) for word in row.words or ()),
        speaker=row.speaker,
        language=row.language,
        confidence=row.confidence,
        revision=row.revision,
    )
