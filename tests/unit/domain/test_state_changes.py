from __future__ import annotations

import random
from itertools import pairwise, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.entities import Meeting
from noteflow.domain.errors import IllegalTransition
from noteflow.domain.outcomes import AlreadyApplied, Applied, Outcome, Premature, Superseded
from noteflow.domain.state_changes import change_state
from noteflow.domain.value_objects import MeetingState as S

PERMITTED = {
    (S.CREATED, S.RECORDING),
    (S.RECORDING, S.STOPPING),
    (S.RECORDING, S.STOPPED),
    (S.STOPPING, S.STOPPED),
    (S.STOPPED, S.RECORDING),
    (S.STOPPED, S.COMPLETED),
    *((state, S.ERROR) for state in (S.CREATED, S.RECORDING, S.STOPPING, S.STOPPED)),
}


def outcome_of(here: S, target: S, sequence: int | None = None, *, applied: int = 0) -> Outcome:
    meeting = Meeting.create(title="Standup")
    meeting.state, meeting.sequence = here, applied
    return change_state(meeting, ChangeMeetingState(meeting.id, target, sequence))


@pytest.mark.parametrize(("here", "target"), list(product(S, S)))
def test_the_map_of_moves_is_the_one_that_was_agreed(here: S, target: S) -> None:
    assert here.can_move_to(target) == ((here, target) in PERMITTED)


@pytest.mark.parametrize(
    ("here", "target", "expected"),
    [
        (S.CREATED, S.RECORDING, Applied),
        (S.RECORDING, S.RECORDING, AlreadyApplied),
        (S.COMPLETED, S.RECORDING, Superseded),
        (S.COMPLETED, S.STOPPED, Superseded),
        (S.STOPPING, S.RECORDING, Superseded),
        (S.ERROR, S.RECORDING, Superseded),
        (S.CREATED, S.STOPPED, Premature),
        (S.CREATED, S.COMPLETED, Premature),
        (S.RECORDING, S.COMPLETED, Premature),
        (S.STOPPED, S.RECORDING, Applied),
        (S.STOPPED, S.ERROR, Applied),
    ],
)
def test_without_a_sequence_the_map_decides(here: S, target: S, expected: type) -> None:
    assert isinstance(outcome_of(here, target), expected)


def test_a_completed_meeting_can_never_fail() -> None:
    with pytest.raises(IllegalTransition):
        outcome_of(S.COMPLETED, S.ERROR)


def test_the_next_in_line_is_applied_and_counted() -> None:
    meeting = Meeting.create(title="Standup")
    outcome = change_state(meeting, ChangeMeetingState(meeting.id, S.RECORDING, 1))
    assert outcome == Applied({"from": "CREATED", "to": "RECORDING", "version": 2})
    assert (meeting.state, meeting.sequence) == (S.RECORDING, 1)


def test_one_that_is_early_waits_for_the_one_it_names() -> None:
    outcome = outcome_of(S.RECORDING, S.COMPLETED, 4, applied=1)
    assert isinstance(outcome, Premature)
    assert "state change 2" in outcome.missing


def test_one_that_comes_again_changes_nothing_though_the_map_would_let_it() -> None:
    assert isinstance(outcome_of(S.STOPPED, S.RECORDING, 1, applied=2), Superseded)
    assert isinstance(outcome_of(S.STOPPED, S.STOPPED, 2, applied=2), AlreadyApplied)


@given(st.randoms(use_true_random=False), st.integers(1, 12))
def test_shuffled_and_tripled_deliveries_end_in_order_each_once(chance: random.Random, length: int) -> None:
    meeting = Meeting.create(title="Standup")
    path = [S.RECORDING, S.STOPPED] * length
    pending = [ChangeMeetingState(meeting.id, state, place) for place, state in enumerate(path, 1)] * 3
    chance.shuffle(pending)
    moves: list[S] = [meeting.state]
    while pending:
        command = pending.pop(0)
        outcome = change_state(meeting, command)
        if isinstance(outcome, Premature):
            pending.append(command)
        elif isinstance(outcome, Applied):
            moves.append(meeting.state)
    assert moves == [S.CREATED, *path]
    assert all(before.can_move_to(after) for before, after in pairwise(moves))
