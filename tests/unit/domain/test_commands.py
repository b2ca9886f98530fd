from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.errors import InvalidValue
from noteflow.domain.value_objects import MeetingId, MeetingState

MEETING = MeetingId(uuid4())
ANYTHING: Any = "hello"


def segment(segment_id: int, meeting_id: MeetingId = MEETING) -> Segment:
    return Segment(meeting_id, segment_id, "hello", 0.0, 1.0)


@pytest.mark.parametrize(
    ("build", "field"),
    [
        (lambda: IngestSegments(MEETING, ()), "segments"),
        (lambda: IngestSegments(MEETING, (segment(1), segment(2), segment(1))), "segments[2].segment_id"),
        (lambda: IngestSegments(MEETING, (segment(1, MeetingId(uuid4())),)), "segments[0].meeting_id"),
        (lambda: IngestSegments(MEETING, (ANYTHING,)), "segments[0]"),
        (lambda: IngestSegments(ANYTHING, (segment(1),)), "meeting_id"),
        (lambda: ChangeMeetingState(MEETING, ANYTHING), "state"),
        (lambda: ChangeMeetingState(MEETING, MeetingState.CREATED), "state"),
        (lambda: ChangeMeetingState(MEETING, MeetingState.STOPPED, 0), "sequence"),
        (lambda: ChangeMeetingState(MEETING, MeetingState.STOPPED, True), "sequence"),
    ],
)
def test_a_command_that_cannot_be_carried_out_cannot_be_built(build: Any, field: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        build()
    assert refusal.value.field == field


def test_equal_commands_are_equal() -> None:
    assert IngestSegments(MEETING, [segment(1)]) == IngestSegments(MEETING, (segment(1),))  # type: ignore[arg-type]  # a list is taken too
