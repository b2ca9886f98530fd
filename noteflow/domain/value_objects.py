"""The small values meetings are made of, and the moves a meeting may make."""

from __future__ import annotations

from enum import StrEnum
from functools import cache
from typing import NewType
from uuid import UUID

MeetingId = NewType("MeetingId", UUID)
"""Names one meeting, everywhere."""


class MeetingState(StrEnum):
    """Where a meeting is in its life."""

    CREATED = "CREATED"
    RECORDING = "RECORDING"
    STOPPING = "STOPPING"
    STOPPED = "STOPPED"
    COMPLETED = "COMPLETED"
    ERROR = "ERROR"

    @property
    def successors(self) -> frozenset[MeetingState]:
        """The states one permitted move away."""
        return _successors(self)

    def can_move_to(self, target: MeetingState) -> bool:
        """Whether one permitted move leads from here to `target`."""
        return target in self.successors

    def can_reach(self, target: MeetingState) -> bool:
        """Whether one or more permitted moves lead from here to `target`."""
        return target in _reachable(self)


def _successors(state: MeetingState) -> frozenset[MeetingState]:
    match state:
        case MeetingState.CREATED:
            return frozenset({MeetingState.RECORDING, MeetingState.ERROR})
        case MeetingState.RECORDING:
            return frozenset({MeetingState.STOPPING, MeetingState.STOPPED, MeetingState.ERROR})
        case MeetingState.STOPPING:
            return frozenset({MeetingState.STOPPED, MeetingState.ERROR})
        case MeetingState.STOPPED:  # back to RECORDING is a resumed meeting
            return frozenset({MeetingState.RECORDING, MeetingState.COMPLETED, MeetingState.ERROR})
        case MeetingState.COMPLETED | MeetingState.ERROR:
            return frozenset()


@cache
def _reachable(state: MeetingState) -> frozenset[MeetingState]:
    found: set[MeetingState] = set()
    frontier = set(_successors(state))
    while frontier:
        found |= frontier
        frontier = {after for here in frontier for after in _successors(here)} - found
    return frozenset(found)
