"""A meeting's way through its states, as the results of its state changes tell it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.outcomes import AlreadyApplied, Applied, Superseded
from noteflow.domain.value_objects import MeetingState


@dataclass(frozen=True, slots=True)
class Move:
    """A state the meeting was moved to, and the version it had then.

    The version is None where the answer was lost with the worker that gave it: the move was committed, and the
    next worker only found that it had been.
    """

    state: MeetingState
    version: int | None


def moves_of(results: Iterable[tuple[ChangeMeetingState, Mapping[str, Any] | None]]) -> list[Move]:
    """The moves that state changes made, from each change and its job's result (None while it has none).

    Of a change that was said in several jobs, the one that made the move tells the version.
    """
    moves: dict[int | None, Move] = {}
    for change, result in results:
        outcome = result.get("outcome") if result else None
        if outcome == Applied.name and result is not None:
            moves[change.sequence] = Move(MeetingState(result["detail"]["to"]), int(result["detail"]["version"]))
        elif outcome in (AlreadyApplied.name, Superseded.name):
            moves.setdefault(change.sequence, Move(change.state, None))
    return list(moves.values())
