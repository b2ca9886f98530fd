"""Changes in memory that are stored together or not at all, by the same rules as in PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Self

from noteflow.domain.commands import Command
from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.errors import InvalidValue
from noteflow.domain.ports import BatchNumber, Tally
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.asking import check_command, check_job_id, check_queue_name
from noteflow.infrastructure.queue.cutting import jobs_of
from noteflow.infrastructure.queue.keys import DEFAULT_QUEUE
from noteflow.testing.changes import Changes, copy_of

if TYPE_CHECKING:
    from noteflow.testing.store import MemoryStore


class MemoryUnitOfWork:
    """Changes that are stored together by `commit`, or not at all. Outside `async with` it refuses them."""

    def __init__(self, store: MemoryStore) -> None:
        self._changes = Changes(store)
        self.meetings = _Meetings(self._changes)
        self.segments = _Segments(self._changes)
        self.jobs = _Jobs(self._changes)

    async def __aenter__(self) -> Self:
        self._changes.opened = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.rollback()
        self._changes.opened = False

    async def commit(self) -> None:
        """Store everything since the last commit, jobs included, or raise and store nothing."""
        self._changes.usable().commit()

    async def rollback(self) -> None:
        """Forget everything since the last commit."""
        self._changes.forget()


class _Meetings:
    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def create(self, meeting: Meeting) -> Meeting:
        """Store a new meeting with the commit. Raises RejectedByStorage, at the latest there, if its id is taken."""
        self._changes.usable().create(meeting)
        return meeting

    async def get(self, meeting_id: MeetingId) -> Meeting | None:
        found = self._changes.usable().found(meeting_id)
        return copy_of(found) if found is not None else None

    async def update(self, meeting: Meeting) -> Meeting:
        self._changes.usable().changed[meeting.id] = meeting
        return meeting

    async def missing_batches(self, meeting: Meeting) -> tuple[int, ...]:
        there = self._changes.usable().store.batches.get(meeting.id, set())
        counts = {number.batch: sum(other.batch == number.batch for other in there) for number in there}
        whole = {number.batch for number in there if counts[number.batch] >= number.parts}
        return tuple(number for number in range(1, (meeting.expected_batches or 0) + 1) if number not in whole)


class _Segments:
    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def add_batch(
        self, meeting_id: MeetingId, segments: Iterable[Segment], *, number: BatchNumber | None = None
    ) -> Tally:
        changes, tally = self._changes.usable(), Tally()
        for place, segment in enumerate(segments):
            if segment.meeting_id != meeting_id:
                raise InvalidValue(f"segments[{place}].meeting_id", f"must be {meeting_id}")
            changes.added.append((segment, tally))
        if number is not None:
            changes.numbers.append((meeting_id, number))
        return tally


class _Jobs:
    def __init__(self, changes: Changes) -> None:
        self._changes = changes

    async def enqueue(
        self, command: Command, *, queue_name: str = DEFAULT_QUEUE, job_id: str | None = None
    ) -> list[str]:
        """Ask for a command, and return the ids of its jobs. The store's `jobs` has them once the unit commits.

        Every queue is one here.
        """
        changes = self._changes.usable()
        check_command(command)
        check_queue_name(queue_name)
        check_job_id(job_id)
        jobs = jobs_of(command, job_id)
        changes.jobs.extend(jobs)
        return [job.job_id for job in jobs]
