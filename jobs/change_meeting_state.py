"""A meeting is to move along its states."""

from __future__ import annotations

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.entities import Meeting
from noteflow.domain.errors import MeetingNotFound
from noteflow.domain.outcomes import Applied, Awaits, Outcome, Premature
from noteflow.domain.ports import UnitOfWork
from noteflow.domain.state_changes import change_state
from noteflow.domain.value_objects import MeetingState

_NAMED_BATCHES = 10


async def change_meeting_state(uow: UnitOfWork, command: ChangeMeetingState) -> Outcome:
    """Move the meeting if it is this change's turn, and complete it only when its transcript is whole."""
    meeting = await uow.meetings.get(command.meeting_id)
    if meeting is None:
        raise MeetingNotFound(command.meeting_id)
    outcome = change_state(meeting, command)
    if not isinstance(outcome, Applied):
        return outcome
    if command.state is MeetingState.COMPLETED and meeting.expected_batches:
        missing = await uow.meetings.missing_batches(meeting)
        if missing:
            return _waits_for(meeting, missing)
    await uow.meetings.update(meeting)
    return outcome


def _waits_for(meeting: Meeting, missing: tuple[int, ...]) -> Premature:
    named = ", ".join(map(str, missing[:_NAMED_BATCHES])) + (", …" if len(missing) > _NAMED_BATCHES else "")
    detail = {"missing_batches": len(missing), "expected_batches": meeting.expected_batches}
    batches = "1 batch" if len(missing) == 1 else f"{len(missing)} batches"
    return Premature(Awaits.BATCHES, f"{batches} of meeting {meeting.id} ({named})", detail)
