"""Whatever is wrong is refused by the name and the place of its field, and never quoted."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.errors import InvalidValue, UnknownFunction
from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue.limits import check_limits
from noteflow.infrastructure.queue.wire import command_from
from tests.unit.queue.commands import MEETING, ingest

CANARY = "between you and me"
SEGMENT: dict[str, Any] = {"segment_id": 0, "text": CANARY, "start_time": 1.0, "end_time": 2.0}
WORD: dict[str, Any] = {"text": CANARY, "start": 1.0, "end": 2.0}
INGEST: dict[str, Any] = {"meeting_id": str(MEETING), "segments": [SEGMENT]}
CHANGE: dict[str, Any] = {"meeting_id": str(MEETING), "state": "STOPPED"}


def refusal(function: str, kwargs: Any, args: Any = ()) -> InvalidValue:
    with pytest.raises(InvalidValue) as caught:
        command_from(function, args, kwargs)
    assert CANARY not in "".join(traceback.format_exception(caught.value))
    assert "`" not in str(caught.value), "these are msgspec's words"
    return caught.value


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ({"segment_id": "0"}, "segments[1].segment_id"),
        ({"segment_id": True}, "segments[1].segment_id"),
        ({"segment_id": 1.0}, "segments[1].segment_id"),
        ({"segment_id": -1}, "segments[1].segment_id"),
        ({"segment_id": 2**31}, "segments[1].segment_id"),
        ({"segment_id": 10**5000}, "segments[1].segment_id"),
        ({"segment_id": 0}, "segments[1].segment_id"),
        ({"text": None}, "segments[1].text"),
        ({"text": CANARY.encode()}, "segments[1].text"),
        ({"text": CANARY + "\x00"}, "segments[1].text"),
        ({"text": CANARY + "\ud800"}, "segments[1].text"),
        ({"start_time": CANARY}, "segments[1].start_time"),
        ({"start_time": True}, "segments[1].start_time"),
        ({"start_time": -0.5}, "segments[1].start_time"),
        ({"start_time": float("nan")}, "segments[1].start_time"),
        ({"start_time": 10**400}, "segments[1].start_time"),
        ({"start_time": datetime(2026, 1, 2, tzinfo=UTC)}, "segments[1].start_time"),
        ({"end_time": float("inf")}, "segments[1].end_time"),
        ({"end_time": 0.5}, "segments[1].end_time"),
        ({"words": CANARY}, "segments[1].words"),
        ({"words": None}, "segments[1].words"),
        ({"words": [WORD, CANARY]}, "segments[1].words[1]"),
        ({"words": [WORD, WORD | {"start": 3.0}]}, "segments[1].words[1].end"),
        ({"words": [WORD, WORD | {"probability": 1.5}]}, "segments[1].words[1].probability"),
        ({"words": [WORD, {"text": CANARY}]}, "segments[1].words[1].start"),
        ({"words": [WORD, WORD | {"confidence": 1}]}, "segments[1].words[1].confidence"),
        ({"speaker": CANARY * 20}, "segments[1].speaker"),
        ({"speaker": 5}, "segments[1].speaker"),
        ({"confidence": 2}, "segments[1].confidence"),
        ({"revision": -1}, "segments[1].revision"),
        ({"meeting_id": str(MEETING)}, "segments[1].meeting_id"),
        ({CANARY: 1}, "segments[1]"),
        ({f"x` - at `$.{CANARY}": 1}, "segments[1]"),
        ({5: 1}, "segments[1]"),
    ],
)
def test_a_wrong_field_of_a_segment_is_named_with_its_place(broken: dict[Any, Any], field: str) -> None:
    assert (
        refusal("ingest_segments", INGEST | {"segments": [SEGMENT, SEGMENT | {"segment_id": 1} | broken]}).field
        == field
    )


@pytest.mark.parametrize("name", ["segment_id", "start_time", "end_time", "confidence", "revision"])
@pytest.mark.parametrize("number", ["NaN", "sNaN", "Infinity", "1E+999999"])
def test_a_decimal_that_is_no_number_of_ours_is_refused(name: str, number: str) -> None:
    refusal("ingest_segments", INGEST | {"segments": [SEGMENT | {name: Decimal(number)}]})


@pytest.mark.parametrize("name", ["segment_id", "text", "start_time", "end_time"])
def test_a_missing_field_of_a_segment_is_named_with_its_place(name: str) -> None:
    error = refusal("ingest_segments", INGEST | {"segments": [{k: v for k, v in SEGMENT.items() if k != name}]})

    assert (error.field, error.complaint) == (f"segments[0].{name}", "is missing")


@pytest.mark.parametrize(
    ("function", "kwargs", "field"),
    [
        ("ingest_segments", {}, "meeting_id"),
        ("ingest_segments", INGEST | {"meeting_id": CANARY}, "meeting_id"),
        ("ingest_segments", INGEST | {"meeting_id": None}, "meeting_id"),
        ("ingest_segments", {"meeting_id": str(MEETING)}, "segments"),
        ("ingest_segments", INGEST | {"segments": []}, "segments"),
        ("ingest_segments", INGEST | {"segments": CANARY}, "segments"),
        ("ingest_segments", INGEST | {"segments": {CANARY: SEGMENT}}, "segments"),
        ("ingest_segments", INGEST | {"segments": [CANARY]}, "segments[0]"),
        ("ingest_segments", INGEST | {"segmnets": []}, "segmnets"),
        ("ingest_segments", INGEST | {"_jobid": CANARY}, "_jobid"),
        ("ingest_segments", INGEST | {CANARY: 1}, "kwargs"),
        ("ingest_segments", INGEST | {"_version": 2}, "_version"),
        ("ingest_segments", INGEST | {"_version": "1"}, "_version"),
        ("ingest_segments", INGEST | {"_version": 0}, "_version"),
        ("ingest_segments", [CANARY], "kwargs"),
        ("ingest_segments", {5: CANARY}, "kwargs"),
        ("change_meeting_state", CHANGE | {"state": "stopped"}, "state"),
        ("change_meeting_state", CHANGE | {"state": CANARY}, "state"),
        ("change_meeting_state", CHANGE | {"state": "CREATED"}, "state"),
        ("change_meeting_state", {"meeting_id": str(MEETING)}, "state"),
        ("change_meeting_state", CHANGE | {"sequence": 0}, "sequence"),
        ("change_meeting_state", CHANGE | {"sequence": 1.0}, "sequence"),
        ("change_meeting_state", CHANGE | {"segments": []}, "segments"),
    ],
)
def test_a_wrong_argument_is_named(function: str, kwargs: Any, field: str) -> None:
    assert refusal(function, kwargs).field == field


@pytest.mark.parametrize(
    ("args", "field"),
    [([str(MEETING), "STOPPED", 1, 2, CANARY], "args"), (CANARY, "args"), ([str(MEETING)], "meeting_id")],
)
def test_wrong_positional_arguments_are_named(args: Any, field: str) -> None:
    assert refusal("change_meeting_state", CHANGE, args).field == field


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"meeting_id": CANARY}, "meeting_id: must be a UUID"),
        ({"meeting_id": 5}, "meeting_id: must be a UUID, not a whole number"),
        ({"segments": CANARY}, "segments: must be a list, not text"),
        ({"batch": CANARY}, "batch: must be a whole number or null, not text"),
        ({"batch": 0}, "batch: must be at least 1"),
    ],
)
def test_what_a_field_must_be_and_what_it_is_are_said_in_our_words(changed: dict[str, Any], says: str) -> None:
    assert str(refusal("ingest_segments", INGEST | changed)) == says


def test_a_newer_version_is_refused_by_the_versions_name() -> None:
    assert str(refusal("ingest_segments", INGEST | {"_version": 2})).startswith("_version: ")


def test_an_unknown_function_is_refused_with_its_name() -> None:
    with pytest.raises(UnknownFunction, match="no job is called 'ingest_segment'"):
        command_from("ingest_segment", (), INGEST)


@pytest.mark.parametrize("function", ["", CANARY, "x" * 81, None, [CANARY], {CANARY: 1}])
def test_what_is_no_name_of_a_function_is_refused_and_not_quoted(function: Any) -> None:
    with pytest.raises(UnknownFunction) as caught:
        command_from(function, (), INGEST)
    assert CANARY not in str(caught.value)
    assert len(str(caught.value)) < 100


def test_a_job_may_carry_a_thousand_segments_and_no_more() -> None:
    segments = [SEGMENT | {"segment_id": number} for number in range(1_001)]

    command_from("ingest_segments", (), INGEST | {"segments": segments[:-1]})
    assert refusal("ingest_segments", INGEST | {"segments": segments}).field == "segments"


def test_words_said_over_and_over_by_reference_are_refused_before_they_are_built() -> None:
    words = [WORD] * 1_000
    segments = [SEGMENT | {"segment_id": number, "words": words} for number in range(500)]

    assert "words" in refusal("ingest_segments", INGEST | {"segments": segments}).complaint


def test_the_limits_are_checked_to_the_byte() -> None:
    command = ChangeMeetingState(MEETING, MeetingState.STOPPED)

    check_limits(command, 1_048_576)
    with pytest.raises(InvalidValue, match=r"payload: is 1048577 bytes"):
        check_limits(command, 1_048_577)


def test_text_said_over_and_over_by_reference_is_over_the_limit() -> None:
    check_limits(ingest(2, text="a" * 524_288))
    with pytest.raises(InvalidValue, match="segments: hold 1048578 characters"):
        check_limits(ingest(2, text="a" * 524_289))


def test_text_said_over_and_over_is_refused_though_nobody_knows_how_many_bytes_it_came_in() -> None:
    segments = [SEGMENT | {"segment_id": number, "text": "a" * 524_289} for number in range(2)]

    assert "characters" in refusal("ingest_segments", INGEST | {"segments": segments}).complaint
