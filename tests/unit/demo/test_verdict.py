"""The demo's verdict goes red for whatever a system can do wrong."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from uuid import uuid4

import pytest

from noteflow.domain.entities import Meeting, Segment, Word
from noteflow.domain.value_objects import MeetingId, MeetingState
from worker.demo.moves import Move
from worker.demo.plan import STATES
from worker.demo.verdict import Verdict, judge, judge_states

MEETING = MeetingId(uuid4())
SAID = [
    Segment(MEETING, 0, "Morning!", 0.0, 1.0, speaker="Zoë"),
    Segment(MEETING, 1, "はい 👩🏽‍💻", 0.5, 1.5, words=(Word("はい", 0.5, 1.0, 0.9),)),
    Segment(MEETING, 2, "cafe\u0301", 1.5, 2.0, language="fr", confidence=0.5),
]


def test_what_is_stored_as_it_was_said_is_sound() -> None:
    assert judge(SAID, list(SAID)) == Verdict()
    assert judge(SAID, SAID).sound
    assert judge([], []).sound


@pytest.mark.parametrize(
    ("spoil", "expected"),
    [
        pytest.param(lambda rows: rows[:1] + rows[2:], Verdict(lost=(1,)), id="one is lost"),
        pytest.param(lambda _: [], Verdict(lost=(0, 1, 2)), id="all are lost"),
        pytest.param(lambda rows: [rows[0], *rows], Verdict(doubled=(0,)), id="one is stored twice"),
        pytest.param(
            lambda rows: [*rows, replace(rows[2], segment_id=9)], Verdict(doubled=(9,)), id="twice under another id"
        ),
        pytest.param(
            lambda rows: [replace(rows[0], text="Morning"), *rows[1:]],
            Verdict(changed=((0, ("text",)),)),
            id="a character is missing",
        ),
        pytest.param(
            lambda rows: [*rows[:2], replace(rows[2], text="caf\u00e9")],
            Verdict(changed=((2, ("text",)),)),
            id="an accent is composed",
        ),
        pytest.param(
            lambda rows: [rows[0], replace(rows[1], words=(Word("はい", 0.5, 1.0, 0.8),)), rows[2]],
            Verdict(changed=((1, ("words",)),)),
            id="a word's probability differs",
        ),
        pytest.param(
            lambda rows: [rows[0], replace(rows[1], words=()), rows[2]],
            Verdict(changed=((1, ("words",)),)),
            id="the words are gone",
        ),
        pytest.param(
            lambda rows: [replace(rows[0], speaker=None, end_time=1.1), *rows[1:]],
            Verdict(changed=((0, ("end_time", "speaker")),)),
            id="speaker and time differ",
        ),
        pytest.param(
            lambda rows: [replace(rows[0], revision=1), *rows[1:]],
            Verdict(changed=((0, ("revision",)),)),
            id="another revision",
        ),
        pytest.param(
            lambda rows: [rows[1], rows[0], rows[2]], Verdict(out_of_order=(1,)), id="two have changed places"
        ),
    ],
)
def test_every_fault_is_named(spoil: Callable[[list[Segment]], list[Segment]], expected: Verdict) -> None:
    verdict = judge(SAID, spoil(list(SAID)))

    assert verdict == expected
    assert not verdict.sound


def completed(version: int = 5, state: MeetingState = MeetingState.COMPLETED) -> Meeting:
    return Meeting(MEETING, "Sync", state=state, version=version)


PATH = [Move(state, version) for version, state in enumerate(STATES, start=2)]


def test_a_meeting_that_went_through_its_states_once_is_sound() -> None:
    assert judge_states(STATES, PATH, completed()) == ()


@pytest.mark.parametrize(
    ("moves", "meeting", "fault"),
    [
        (PATH, None, "not stored"),
        (PATH, completed(state=MeetingState.STOPPED), "is STOPPED, not COMPLETED"),
        (PATH, completed(version=6), "changed 5 times, not 4"),
        (PATH[:1] + PATH[2:], completed(), "RECORDING → STOPPED → COMPLETED"),
        ([PATH[1], PATH[0], *PATH[2:]], completed(), "STOPPING → RECORDING"),
        ([], completed(), "empty"),
        ([*PATH[:3], Move(MeetingState.COMPLETED, 4)], completed(), r"versions are \[2, 3, 4, 4\]"),
    ],
)
def test_every_wrong_way_through_the_states_is_named(moves: list[Move], meeting: Meeting | None, fault: str) -> None:
    faults = judge_states(STATES, moves, meeting)

    assert any(re.search(fault, each) for each in faults)
    assert not Verdict(states=faults).sound
