"""What the producer says, in which order and when: everything is decided before the first word is sent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import cycle

from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId, MeetingState

STATES = (MeetingState.RECORDING, MeetingState.STOPPING, MeetingState.STOPPED, MeetingState.COMPLETED)
"""The states a meeting is led through, in the order of their sequence from 1."""

_BATCH_SIZES = (3, 1, 5, 8, 2, 13)
_STAGGER = 0.04
"""How much later each meeting begins than the one before it, as a share of the whole time."""


class Saying(StrEnum):
    """Why a command is said."""

    FIRST = "first"
    AGAIN = "again"  # word for word the same, so under the same job id
    COPY = "copy"  # the same under another id, as a producer says it who has forgotten the first


@dataclass(frozen=True, slots=True)
class Line:
    """One thing to say: when, in seconds from the start, about which of the meetings, counted from 0, and what."""

    at_s: float
    meeting: int
    command: Command
    saying: Saying = Saying.FIRST


@dataclass(frozen=True, slots=True)
class Script:
    """The lines in the order in which they are said, and each meeting's segments."""

    lines: tuple[Line, ...]
    segments: tuple[tuple[Segment, ...], ...]


def plan(meetings: Sequence[tuple[MeetingId, Sequence[Segment]]], seconds: float) -> Script:
    """A script that says all meetings side by side in about `seconds`, each at its own pace made faster."""
    lines = [
        line
        for place, (meeting_id, segments) in enumerate(meetings)
        for line in _meeting(place, meeting_id, segments, place * _STAGGER * seconds, seconds)
    ]
    lines.sort(key=lambda line: line.at_s)  # stable: what is said at one time keeps its order
    return Script(tuple(lines), tuple(tuple(segments) for _, segments in meetings))


def _meeting(
    place: int, meeting_id: MeetingId, segments: Sequence[Segment], start_s: float, seconds: float
) -> Iterator[Line]:
    changes = [ChangeMeetingState(meeting_id, state, number) for number, state in enumerate(STATES, start=1)]
    recording, *endings = changes
    yield Line(start_s, place, recording)
    yield Line(start_s, place, recording, Saying.COPY)
    end_s = start_s
    for number, (at_s, batch) in enumerate(_batches(segments, seconds)):
        command = IngestSegments(meeting_id, batch)
        end_s = start_s + at_s
        yield Line(end_s, place, command)
        if number % 5 == 0:
            yield Line(end_s, place, command, Saying.AGAIN)
        if number % 7 == 1:
            yield Line(end_s, place, command, Saying.COPY)
    for change in endings:
        yield Line(end_s, place, change)


def _batches(segments: Sequence[Segment], seconds: float) -> Iterator[tuple[float, tuple[Segment, ...]]]:
    """Batches of changing size, each with the moment when the last of its segments has been said."""
    if not segments:
        return
    opening_s = segments[0].start_time
    length_s = max(segment.end_time for segment in segments) - opening_s
    pace = seconds / length_s if length_s > 0 else 0.0
    begin, said_s = 0, 0.0
    for size in cycle(_BATCH_SIZES):
        batch = tuple(segments[begin : begin + size])
        if not batch:
            return
        # A long segment may outlast those that began after it; what is said is never taken back.
        said_s = max(said_s, *(segment.end_time - opening_s for segment in batch))
        yield said_s * pace, batch
        begin += size
