"""Meetings and segments in memory, kept by the same rules as in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType
from typing import Self

from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.errors import ConcurrencyConflict, ConflictingContent, InvalidValue, MeetingNotFound
from noteflow.domain.ports import BatchNumber, Tally
from noteflow.domain.value_objects import MeetingId


class MemoryStore:
    """What was committed. Look into it as you like; change it through a unit of work."""

    def __init__(self, meetings: Iterable[Meeting] = ()) -> None:
        self.meetings: dict[MeetingId, Meeting] = {meeting.id: _copy(meeting) for meeting in meetings}
        self.segments: dict[MeetingId, dict[int, Segment]] = {}
        self.batches: dict[MeetingId, set[BatchNumber]] = {}

    def unit_of_work(self) -> MemoryUnitOfWork:
        """A new unit of work on this store."""
        return MemoryUnitOfWork(self)


class MemoryUnitOfWork:
    """Changes that are stored together by `commit`, or not at all."""

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._changed: dict[MeetingId, Meeting] = {}
        self._added: list[tuple[Segment, Tally]] = []
        self._numbers: list[tuple[MeetingId, BatchNumber]] = []
        self.meetings = _Meetings(store, self._changed)
        self.segments = _Segments(self._added, self._numbers)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.rollback()

    async def commit(self) -> None:
        """Store everything since the last commit, or raise and store nothing."""
        store = self._store
        for meeting in self._changed.values():
            stored = store.meetings.get(meeting.id)
            if stored is None or stored.version != meeting.version:
                raise ConcurrencyConflict(
                    f"meeting {meeting.id} was modified concurrently, or deleted, since version {meeting.version}"
                    " was read"
                )
        for segment, _ in self._added:
            _check(store, segment)
        for meeting in self._changed.values():
            meeting.version += 1
            meeting.moves.clear()
            store.meetings[meeting.id] = _copy(meeting)
        for segment, tally in self._added:
            _keep(store.segments.setdefault(segment.meeting_id, {}), segment, tally)
        for meeting_id, number in self._numbers:
            store.batches.setdefault(meeting_id, set()).add(number)
        await self.rollback()

    async def rollback(self) -> None:
        """Forget everything since the last commit."""
        self._changed.clear()
        self._added.clear()
        self._numbers.clear()


class _Meetings:
    def __init__(self, store: MemoryStore, changed: dict[MeetingId, Meeting]) -> None:
        self._store = store
        self._changed = changed

    async def get(self, meeting_id: MeetingId) -> Meeting | None:
        stored = self._store.meetings.get(meeting_id)
        return _copy(stored) if stored is not None else None

    async def update(self, meeting: Meeting) -> Meeting:
        self._changed[meeting.id] = meeting
        return meeting

    async def missing_batches(self, meeting: Meeting) -> tuple[int, ...]:
        there = self._store.batches.get(meeting.id, set())
        counts = {number.batch: sum(other.batch == number.batch for other in there) for number in there}
        whole = {number.batch for number in there if counts[number.batch] >= number.parts}
        return tuple(number for number in range(1, (meeting.expected_batches or 0) + 1) if number not in whole)


class _Segments:
    def __init__(self, added: list[tuple[Segment, Tally]], numbers: list[tuple[MeetingId, BatchNumber]]) -> None:
        self._added = added
        self._numbers = numbers

    async def add_batch(
        self, meeting_id: MeetingId, segments: Iterable[Segment], *, number: BatchNumber | None = None
    ) -> Tally:
        tally = Tally()
        for place, segment in enumerate(segments):
            if segment.meeting_id != meeting_id:
                raise InvalidValue(f"segments[{place}].meeting_id", f"must be {meeting_id}")
            self._added.append((segment, tally))
        if number is not None:
            self._numbers.append((meeting_id, number))
        return tally


def _copy(meeting: Meeting) -> Meeting:
    return replace(meeting, moves=list(meeting.moves))


def _check(store: MemoryStore, segment: Segment) -> None:
    if segment.meeting_id not in store.meetings:
        raise MeetingNotFound(segment.meeting_id)
    stored = store.segments.get(segment.meeting_id, {}).get(segment.segment_id)
    if stored is not None and stored.revision == segment.revision and stored != segment:
        raise ConflictingContent(
            f"segment {segment.segment_id} of meeting {segment.meeting_id} is stored at revision {segment.revision}"
            " with other content"
        )


def _keep(stored: dict[int, Segment], segment: Segment, tally: Tally) -> None:
    earlier = stored.get(segment.segment_id)
    if earlier is None:
        tally.stored += 1
    elif earlier.revision < segment.revision:
        tally.replaced += 1
    else:
        tally.unchanged += 1
        return
    stored[segment.segment_id] = segment
