from __future__ import annotations

import math
import pickle
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from noteflow.domain.entities import Meeting, Segment, Word
from noteflow.domain.errors import IllegalTransition, InvalidValue
from noteflow.domain.value_objects import MeetingId, MeetingState

MEETING = MeetingId(UUID("6f0c4f1e-5f8c-4a53-9d3b-1f0f4c0e9a11"))


def a_segment(**changed: Any) -> Segment:
    fields: dict[str, Any] = {
        "meeting_id": MEETING,
        "segment_id": 1,
        "text": "Guten Tag",
        "start_time": 0.0,
        "end_time": 1.5,
    }
    return Segment(**(fields | changed))


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"meeting_id": str(MEETING)}, "meeting_id"),
        ({"segment_id": -1}, "segment_id"),
        ({"segment_id": 2**31}, "segment_id"),
        ({"segment_id": True}, "segment_id"),
        ({"segment_id": 10**5000}, "segment_id"),
        ({"end_time": 10**5000}, "end_time"),
        ({"segment_id": "7"}, "segment_id"),
        ({"text": None}, "text"),
        ({"text": "a\x00b"}, "text"),
        ({"text": "ü\x00"}, "text"),
        ({"text": "\ud83d"}, "text"),
        ({"start_time": math.nan}, "start_time"),
        ({"start_time": -0.1}, "start_time"),
        ({"start_time": "1"}, "start_time"),
        ({"end_time": math.inf}, "end_time"),
        ({"start_time": 2.0}, "end_time"),
        ({"speaker": "x" * 201}, "speaker"),
        ({"speaker": "\x00"}, "speaker"),
        ({"language": 3}, "language"),
        ({"confidence": 1.01}, "confidence"),
        ({"confidence": math.nan}, "confidence"),
        ({"confidence": "0.5"}, "confidence"),
        ({"revision": -1}, "revision"),
        ({"words": ("hi",)}, "words[0]"),
    ],
)
def test_a_segment_refuses_what_cannot_be_true_and_names_the_field(changed: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        a_segment(**changed)
    assert refusal.value.field == field
    assert str(refusal.value).startswith(f"{field}: ")


@pytest.mark.parametrize(
    ("word", "field"),
    [
        (("hi", 1.0, 0.5, None), "end"),
        (("hi", 0.0, math.nan, None), "end"),
        (("hi", 0.0, 1.0, 2.0), "probability"),
        (("\ud800", 0.0, 1.0, None), "text"),
    ],
)
def test_a_word_refuses_what_cannot_be_true(word: tuple[str, float, float, float | None], field: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        Word(*word)
    assert refusal.value.field == field


def test_a_refusal_never_quotes_the_text() -> None:
    with pytest.raises(InvalidValue) as refusal:
        a_segment(text="a secret plan\x00")
    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize("text", ["", "naïve", "👩‍👩‍👧", "مرحبا", "e\u0301", "\u2028"])
def test_a_segment_takes_any_text_that_unicode_has(text: str) -> None:
    assert a_segment(text=text).text == text


def test_a_segment_may_take_no_time_and_its_words_may_come_as_a_list() -> None:
    segment = a_segment(start_time=2, end_time=2, words=[Word("so", 2, 2)])
    assert segment.duration == 0
    assert segment.words == (Word("so", 2, 2),)


def test_a_created_meeting_has_an_id_of_its_own_and_waits() -> None:
    first, second = Meeting.create(title="Standup"), Meeting.create(title="Standup")
    assert first.id != second.id
    assert (first.state, first.version, first.sequence) == (MeetingState.CREATED, 1, 0)
    assert first.created_at.tzinfo is UTC


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"title": ""}, "title"),
        ({"title": " \n"}, "title"),
        ({"title": "x" * 501}, "title"),
        ({"state": "CREATED"}, "state"),
        ({"version": 0}, "version"),
        ({"sequence": -1}, "sequence"),
        ({"id": "7"}, "id"),
        ({"created_at": datetime(2026, 1, 1)}, "created_at"),  # noqa: DTZ001
        (
            {"started_at": datetime(2026, 1, 2, tzinfo=UTC), "ended_at": datetime(2026, 1, 1, tzinfo=UTC)},
            "ended_at",
        ),
    ],
)
def test_a_meeting_refuses_what_cannot_be_true(fields: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidValue) as refusal:
        Meeting(**{"id": uuid4(), "title": "Standup", **fields})
    assert refusal.value.field == field


def test_a_meeting_notes_when_it_started_and_ended() -> None:
    meeting = Meeting.create(title="Standup")
    meeting.start_recording()
    assert meeting.started_at is not None
    meeting.begin_stopping()
    assert meeting.ended_at is None
    meeting.stop_recording()
    assert meeting.ended_at is not None
    assert meeting.ended_at >= meeting.started_at
    meeting.complete()
    assert meeting.state is MeetingState.COMPLETED


def test_a_resumed_meeting_keeps_its_start_and_has_no_end_until_it_stops_again() -> None:
    meeting = Meeting.create(title="Standup")
    meeting.start_recording()
    meeting.stop_recording()
    started = meeting.started_at
    meeting.start_recording()
    assert meeting.started_at == started
    assert meeting.ended_at is None


def test_an_end_is_never_before_its_start_though_the_clocks_of_two_workers_differ() -> None:
    meeting = Meeting.create(title="Standup")
    now = datetime.now(UTC)
    meeting.move_to(MeetingState.RECORDING, at=now)
    meeting.move_to(MeetingState.STOPPED, at=now - timedelta(seconds=30))
    assert meeting.ended_at == now


def test_a_meeting_refuses_a_move_that_is_not_permitted_and_stays_as_it_was() -> None:
    meeting = Meeting.create(title="Standup")
    with pytest.raises(IllegalTransition, match="from CREATED to COMPLETED"):
        meeting.complete()
    assert meeting.state is MeetingState.CREATED


@pytest.mark.parametrize("state", [state for state in MeetingState if state is not MeetingState.COMPLETED])
def test_any_meeting_but_a_completed_one_can_fail(state: MeetingState) -> None:
    meeting = Meeting(id=MEETING, title="Standup", state=state)
    if state is not MeetingState.ERROR:
        meeting.mark_error()
    assert meeting.state is MeetingState.ERROR


def test_errors_survive_pickling() -> None:
    error = pickle.loads(pickle.dumps(InvalidValue("segments[3].text", "must be text")))
    assert (error.field, str(error)) == ("segments[3].text", "segments[3].text: must be text")
