"""What a state change means for a meeting, whenever and however often it arrives."""

from __future__ import annotations

from typing import Any

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.entities import Meeting
from noteflow.domain.errors import IllegalTransition
from noteflow.domain.outcomes import AlreadyApplied, Applied, Awaits, Outcome, Premature, Superseded
from noteflow.domain.value_objects import MeetingState


def change_state(meeting: Meeting, command: ChangeMeetingState) -> Outcome:
    """Move the meeting if it is this change's turn; raise IllegalTransition if it never will be.

    Only after Applied is there something to store.
    """
    outcome = _outcome(meeting, command)
    if isinstance(outcome, Applied) and command.expected_batches is not None:
        meeting.expected_batches = command.expected_batches
    return outcome


def _outcome(meeting: Meeting, command: ChangeMeetingState) -> Outcome:
    if command.sequence is None:
        return _by_map(meeting, command)
    return _by_sequence(meeting, command, command.sequence)


def _by_sequence(meeting: Meeting, command: ChangeMeetingState, sequence: int) -> Outcome:
    awaited = meeting.sequence + 1
    if sequence > awaited:
        return Premature(Awaits.SEQUENCE, f"state change {awaited} of meeting {meeting.id}", _held(meeting))
    if sequence < awaited:
        # Whether this very change was applied, or another under its number, a history would have to tell.
        return (AlreadyApplied if meeting.state is command.state else Superseded)(_held(meeting))
    meeting.sequence = sequence
    if meeting.state is command.state:
        return Applied(_step(meeting.state, meeting))
    return _moved_to(meeting, command)


def _by_map(meeting: Meeting, command: ChangeMeetingState) -> Outcome:
    here, target = meeting.state, command.state
    if here is target:
        return AlreadyApplied(_held(meeting))
    if here.can_move_to(target):
        return _moved_to(meeting, command)
    if target.can_reach(here):
        return Superseded(_held(meeting))
    if here.can_reach(target):
        missing = f"a state of meeting {meeting.id} from which {target} follows"
        return Premature(Awaits.STATE, missing, _held(meeting))
    raise IllegalTransition(f"meeting {meeting.id} can never move from {here} to {target}")


def _moved_to(meeting: Meeting, command: ChangeMeetingState) -> Applied:
    origin = meeting.state
    meeting.move_to(command.state)
    return Applied(_step(origin, meeting))


def _step(origin: MeetingState, meeting: Meeting) -> dict[str, Any]:
    return {"from": origin.value, "to": meeting.state.value, "version": meeting.version + 1}


def _held(meeting: Meeting) -> dict[str, Any]:
    return {"state": meeting.state.value, "version": meeting.version}
