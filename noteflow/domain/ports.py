"""What the domain needs from outside, as handlers see it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.value_objects import MeetingId


@dataclass(frozen=True, slots=True)
class BatchNumber:
    """Which of a meeting's numbered batches this is, and which of its parts."""

    batch: int
    part: int
    parts: int


@dataclass(slots=True)
class Tally:
    """What became of the segments given to a unit of work; complete once the unit has committed."""

    stored: int = 0
    replaced: int = 0
    unchanged: int = 0


class Meetings(Protocol):
    """The meetings a unit of work can reach."""

    async def get(self, meeting_id: MeetingId) -> Meeting | None:
        """The meeting as it is stored, or None."""

    async def update(self, meeting: Meeting) -> Meeting:
        """Store a changed meeting with the commit.

        Raises ConcurrencyConflict, at the latest there, if somebody else changed it since it was read.
        """

    async def missing_batches(self, meeting: Meeting) -> tuple[int, ...]:
        """The numbers of the batches that are expected and not stored yet, in order."""


class Segments(Protocol):
    """The segments a unit of work can reach."""

    async def add_batch(
        self, meeting_id: MeetingId, segments: Iterable[Segment], *, number: BatchNumber | None = None
    ) -> Tally:
        """Store segments with the commit. Raises, at the latest there, if one contradicts what is stored."""


class UnitOfWork(Protocol):
    """One attempt's view of the store. Its edge commits, the handler never does."""

    @property
    def meetings(self) -> Meetings:
        """The meetings."""

    @property
    def segments(self) -> Segments:
        """Their segments."""
