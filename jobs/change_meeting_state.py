"""A meeting is to move along its states."""

from __future__ import annotations

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.errors import MeetingNotFound
from noteflow.domain.outcomes import Applied, Outcome
from noteflow.domain.ports import UnitOfWork
from noteflow.domain.state_changes import change_state


async def change_meeting_state(uow: UnitOfWork, command: ChangeMeetingState) -> Outcome:
    """Move the meeting if it is this change's turn."""
    meeting = await uow.meetings.get(command.meeting_id)
    if meeting is None:
        raise MeetingNotFound(command.meeting_id)
    outcome = change_state(meeting, command)
    if isinstance(outcome, Applied):
        await uow.meetings.update(meeting)
    return outcome
