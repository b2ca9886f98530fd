"""What was committed in memory: meetings, segments, and the jobs that were asked for."""

from __future__ import annotations

from collections.abc import Iterable

from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.ports import BatchNumber
from noteflow.domain.value_objects import MeetingId
from noteflow.testing.changes import copy_of
from noteflow.testing.client import MemoryJobClient
from noteflow.testing.unit_of_work import MemoryUnitOfWork


class MemoryStore:
    """What was committed. Look into it as you like; change it through a unit of work.

    `jobs` is the client that keeps what units of work asked for; pass the one that the service enqueues with, and both
    ways are asserted and drained together.
    """

    def __init__(self, meetings: Iterable[Meeting] = (), *, jobs: MemoryJobClient | None = None) -> None:
        self.meetings: dict[MeetingId, Meeting] = {meeting.id: copy_of(meeting) for meeting in meetings}
        self.segments: dict[MeetingId, dict[int, Segment]] = {}
        self.batches: dict[MeetingId, set[BatchNumber]] = {}
        self.jobs = jobs if jobs is not None else MemoryJobClient()

    def unit_of_work(self) -> MemoryUnitOfWork:
        """A new unit of work on this store."""
        return MemoryUnitOfWork(self)
