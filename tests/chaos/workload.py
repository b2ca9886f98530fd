"""What the producers will ask for: made from a seed, many meetings at once, some of it early, some of it twice."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import TYPE_CHECKING
from uuid import UUID

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId, MeetingState

if TYPE_CHECKING:
    from noteflow.domain.commands import Command

MARK = "said in chaos"
"""Stands in every segment, so that a proxy knows one when it passes."""

SHARE_OF_MOVES = 0.25
SHARE_SAID_TWICE = 0.04
SHARE_SAID_EARLY = 0.1
MOST_SEGMENTS = 8


@dataclass(frozen=True)
class Workload:
    """Meetings, and commands in the order in which they are to be said."""

    meetings: tuple[MeetingId, ...]
    commands: tuple[Command, ...]


def make_workload(seed: int, *, commands: int, meetings: int) -> Workload:
    """The same seed makes the same workload."""
    chance = random.Random(f"workload {seed}")
    ids = tuple(MeetingId(UUID(int=chance.getrandbits(128), version=4)) for _ in range(meetings))
    said = [_Meeting(meeting_id, chance) for meeting_id in ids]
    asked: list[Command] = []
    while len(asked) < commands - meetings:
        meeting = chance.choice(said)
        asked.append(meeting.move() if chance.random() < SHARE_OF_MOVES else meeting.batch())
        if chance.random() < SHARE_SAID_TWICE:
            asked.append(chance.choice(asked[-50:]))
    asked += [meeting.last_move() for meeting in said]
    for place in range(len(asked) - 1):
        if chance.random() < SHARE_SAID_EARLY:
            other = min(len(asked) - 1, place + chance.randint(1, 2 * meetings))
            asked[place], asked[other] = asked[other], asked[place]
    return Workload(ids, tuple(asked))


class _Meeting:
    def __init__(self, meeting_id: MeetingId, chance: random.Random) -> None:
        self._id = meeting_id
        self._chance = chance
        self._segments = 0
        self._moves = 0

    def batch(self) -> Command:
        first = self._segments
        self._segments += self._chance.randint(1, MOST_SEGMENTS)
        return IngestSegments(self._id, tuple(self._segment(number) for number in range(first, self._segments)))

    def move(self) -> Command:
        """Record, stop, record again: a cycle, where an old duplicate that is not recognised does harm."""
        self._moves += 1
        return self._change(MeetingState.RECORDING if self._moves % 2 else MeetingState.STOPPED)

    def last_move(self) -> Command:
        self._moves += 1
        return self._change(MeetingState.RECORDING if self._moves == 1 else MeetingState.ERROR)

    def _change(self, state: MeetingState) -> Command:
        return ChangeMeetingState(self._id, state, sequence=self._moves)

    def _segment(self, number: int) -> Segment:
        words = " ".join(self._chance.choices(("budget", "launch", "customer", "Tuesday"), k=4))
        return Segment(self._id, number, f"{number}: {words}, {MARK}", float(number), number + 0.5)
