"""A meeting's way through its states."""

from __future__ import annotations

from dataclasses import dataclass

from noteflow.domain.value_objects import MeetingState


@dataclass(frozen=True, slots=True)
class Move:
    """A state the meeting was moved to, and the version it had then."""

    state: MeetingState
    version: int
