"""What a producer may ask for. A command is checked when it is built."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from noteflow.domain.checks import check_integer, check_uuid
from noteflow.domain.entities import Segment
from noteflow.domain.errors import InvalidValue
from noteflow.domain.value_objects import MeetingId, MeetingState

MOST_SEGMENTS_PER_JOB = 1_000
MOST_BYTES_PER_JOB = 1_048_576
"""A job's payload as it lies in Redis, in bytes."""


@dataclass(frozen=True, slots=True)
class IngestSegments:
    """Store these segments of one meeting, all or none.

    A command may hold more than one job may carry: the client cuts it into several jobs. A producer may number a
    meeting's batches 1, 2, 3 …, so that completeness can be told; one that is cut is `part` 1, 2 … of `parts`.
    """

    function: ClassVar[str] = "ingest_segments"

    meeting_id: MeetingId
    segments: tuple[Segment, ...]
    batch: int | None = None
    part: int = 1
    parts: int = 1

    def __post_init__(self) -> None:
        check_uuid("meeting_id", self.meeting_id)
        if type(self.segments) is not tuple:
            object.__setattr__(self, "segments", tuple(self.segments))
        if not self.segments:
            raise InvalidValue("segments", "must not be empty")
        self._check_numbers()
        places: dict[int, int] = {}
        for place, segment in enumerate(self.segments):
            if not isinstance(segment, Segment):
                raise InvalidValue(f"segments[{place}]", f"must be a Segment, not {type(segment).__name__}")
            if segment.meeting_id is not self.meeting_id and segment.meeting_id != self.meeting_id:
                raise InvalidValue(f"segments[{place}].meeting_id", f"must be the batch's ({self.meeting_id})")
            earlier = places.setdefault(segment.segment_id, place)
            if earlier != place:
                raise InvalidValue(
                    f"segments[{place}].segment_id",
                    f"{segment.segment_id} stands at segments[{earlier}] already",
                )

    def _check_numbers(self) -> None:
        if self.batch is not None:
            check_integer("batch", self.batch, least=1)
        check_integer("parts", self.parts, least=1)
        check_integer("part", self.part, least=1)
        if self.part > self.parts:
            raise InvalidValue("part", f"must be at most parts ({self.parts}), but is {self.part}")
        if self.batch is None and self.parts > 1:
            raise InvalidValue("batch", "must be given for one that has parts")


@dataclass(frozen=True, slots=True)
class ChangeMeetingState:
    """Move a meeting to `state`.

    `sequence` numbers a meeting's state changes 1, 2, 3 … as their producer made them. With it they are
    applied in that order, each once; without it the map of permitted moves decides what a late one means.
    STOPPED may say by `expected_batches` how many numbered batches there are: COMPLETED then waits for all of them.
    """

    function: ClassVar[str] = "change_meeting_state"

    meeting_id: MeetingId
    state: MeetingState
    sequence: int | None = None
    expected_batches: int | None = None

    def __post_init__(self) -> None:
        check_uuid("meeting_id", self.meeting_id)
        if not isinstance(self.state, MeetingState):
            raise InvalidValue("state", f"must be a MeetingState, not {type(self.state).__name__}")
        if self.state is MeetingState.CREATED:
            raise InvalidValue("state", "no move leads to CREATED: it is how a meeting begins")
        if self.sequence is not None:
            check_integer("sequence", self.sequence, least=1)
        if self.expected_batches is not None:
            check_integer("expected_batches", self.expected_batches)
            if self.state is not MeetingState.STOPPED:
                raise InvalidValue("expected_batches", f"goes with STOPPED, not with {self.state}")


Command = IngestSegments | ChangeMeetingState
