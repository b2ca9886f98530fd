"""What one unit of work in memory would store, and the rules by which it may."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self

from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.errors import (
    ConcurrencyConflict,
    ConflictingContent,
    MeetingNotFound,
    NoteflowError,
    RejectedByStorage,
    UnitOfWorkFailed,
)
from noteflow.domain.ports import BatchNumber, Tally
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.cutting import EncodedJob

if TYPE_CHECKING:
    from noteflow.testing.store import MemoryStore


class Changes:
    """Changes that are checked and kept together."""

    def __init__(self, store: MemoryStore) -> None:
        self.store = store
        self.opened = False
        self.failed = False
        self.created: dict[MeetingId, Meeting] = {}
        self.changed: dict[MeetingId, Meeting] = {}
        self.added: list[tuple[Segment, Tally]] = []
        self.numbers: list[tuple[MeetingId, BatchNumber]] = []
        self.jobs: list[EncodedJob] = []

    def usable(self) -> Self:
        """Itself, unless the unit is outside its `async with` or was refused something: then only a rollback helps."""
        if not self.opened:
            raise RuntimeError("the unit of work is not open: use it within its `async with`")
        if self.failed:
            raise UnitOfWorkFailed("an earlier statement of this unit of work failed; roll it back first")
        return self

    def found(self, meeting_id: MeetingId) -> Meeting | None:
        """The meeting as this unit sees it: created by itself, or stored."""
        return self.created.get(meeting_id) or self.store.meetings.get(meeting_id)

    def create(self, meeting: Meeting) -> None:
        """Take in a new meeting. Raises RejectedByStorage if its id is taken."""
        if self.found(meeting.id) is not None:
            self.failed = True
            raise _id_taken()
        meeting.moves.clear()
        self.created[meeting.id] = copy_of(meeting)

    def commit(self) -> None:
        """Store all of it, or raise what PostgreSQL would raise and store nothing."""
        try:
            self._check()
        except NoteflowError:
            self.failed = True
            raise
        self._keep()
        self.forget()

    def forget(self) -> None:
        """Drop all of it."""
        self.failed = False
        for changes in (self.created, self.changed, self.added, self.numbers, self.jobs):
            changes.clear()

    def _check(self) -> None:
        for meeting_id in self.created:
            if meeting_id in self.store.meetings:  # another unit was first
                raise _id_taken()
        for meeting in self.changed.values():
            stored = self.found(meeting.id)
            if stored is None or stored.version != meeting.version:
                raise ConcurrencyConflict(
                    f"meeting {meeting.id} was modified concurrently, or deleted, since version {meeting.version}"
                    " was read"
                )
        for segment, _ in self.added:
            if self.found(segment.meeting_id) is None:
                raise MeetingNotFound(segment.meeting_id)
            _check_content(self.store, segment)

    def _keep(self) -> None:
        self.store.meetings.update(self.created)
        for meeting in self.changed.values():
            meeting.version += 1
            meeting.moves.clear()
            self.store.meetings[meeting.id] = copy_of(meeting)
        for segment, tally in self.added:
            _keep_segment(self.store.segments.setdefault(segment.meeting_id, {}), segment, tally)
        for meeting_id, number in self.numbers:
            self.store.batches.setdefault(meeting_id, set()).add(number)
        self.store.jobs.keep(self.jobs)


def copy_of(meeting: Meeting) -> Meeting:
    """A meeting that can be changed without changing the other."""
    return replace(meeting, moves=list(meeting.moves))


def _id_taken() -> RejectedByStorage:
    return RejectedByStorage("PostgreSQL refuses the data (SQLSTATE 23505, meetings_pkey)")


def _check_content(store: MemoryStore, segment: Segment) -> None:
    stored = store.segments.get(segment.meeting_id, {}).get(segment.segment_id)
    if stored is not None and stored.revision == segment.revision and stored != segment:
        raise ConflictingContent(
            f"segment {segment.segment_id} of meeting {segment.meeting_id} is stored at revision {segment.revision}"
            " with other content"
        )


def _keep_segment(stored: dict[int, Segment], segment: Segment, tally: Tally) -> None:
    earlier = stored.get(segment.segment_id)
    if earlier is None:
        tally.stored += 1
    elif earlier.revision < segment.revision:
        tally.replaced += 1
    else:
        tally.unchanged += 1
        return
    stored[segment.segment_id] = segment
