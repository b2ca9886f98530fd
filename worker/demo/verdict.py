"""Compares what is stored with what the file says, word for word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import pairwise

from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.value_objects import MeetingState
from worker.demo.moves import Move


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is wrong with one meeting; nothing, if all is empty. Segments are named by their ids."""

    lost: tuple[int, ...] = ()
    doubled: tuple[int, ...] = ()
    """Stored more than once, or stored without standing in the file."""
    changed: tuple[tuple[int, tuple[str, ...]], ...] = ()
    """Each with the fields that differ."""
    out_of_order: tuple[int, ...] = ()
    """Segments that come before one they were said after."""
    states: tuple[str, ...] = ()
    """What is wrong with the way of the meeting's states."""

    @property
    def sound(self) -> bool:
        """Whether everything is as it should be."""
        return not any(getattr(self, field.name) for field in fields(self))


def judge(said: Sequence[Segment], stored: Sequence[Segment]) -> Verdict:
    """What became of the segments that were said, given those that are stored in the order in which they come back."""
    expected = {segment.segment_id: segment for segment in said}
    counts = Counter(segment.segment_id for segment in stored)
    return Verdict(
        lost=tuple(number for number in expected if number not in counts),
        doubled=tuple(number for number, count in counts.items() if count > 1 or number not in expected),
        changed=tuple(
            (segment.segment_id, differing)
            for segment in stored
            if segment.segment_id in expected and (differing := _differing(expected[segment.segment_id], segment))
        ),
        out_of_order=_out_of_order(said, stored),
    )


def judge_states(wanted: Sequence[MeetingState], moves: Sequence[Move], meeting: Meeting | None) -> tuple[str, ...]:
    """What is wrong with a meeting that was to go through the `wanted` states, each once, in this order."""
    if meeting is None:
        return ("the meeting is not stored",)
    faults = []
    if meeting.state is not wanted[-1]:
        faults.append(f"the meeting is {meeting.state}, not {wanted[-1]}")
    if meeting.version != 1 + len(wanted):
        faults.append(f"the meeting was changed {meeting.version - 1} times, not {len(wanted)}")
    if (went := tuple(move.state for move in moves)) != tuple(wanted):
        faults.append(f"the path is {' → '.join(went) or 'empty'}")
    versions = [move.version for move in moves]
    if any(later <= earlier for earlier, later in pairwise(versions)):
        faults.append(f"the versions are {versions}")
    return tuple(faults)


def _differing(expected: Segment, stored: Segment) -> tuple[str, ...]:
    return tuple(
        field.name for field in fields(expected) if getattr(expected, field.name) != getattr(stored, field.name)
    )


def _out_of_order(said: Sequence[Segment], stored: Sequence[Segment]) -> tuple[int, ...]:
    places = {segment.segment_id: place for place, segment in enumerate(said)}
    known = [segment.segment_id for segment in stored if segment.segment_id in places]
    return tuple(earlier for earlier, later in pairwise(known) if places[later] < places[earlier])
