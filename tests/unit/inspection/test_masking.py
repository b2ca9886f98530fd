"""No word of a transcript is shown, in whatever field or codec it comes."""

from __future__ import annotations

import pickle
from typing import Any
from uuid import UUID

import msgpack  # type: ignore[import-untyped]  # a foreign producer's codec
import msgspec
import pytest

from noteflow.infrastructure.queue.codec import PICKLE_REFUSED
from worker.inspection.masking import CANCELLED, masked, masked_message, masked_reason
from worker.inspection.payloads import read_envelope, read_head

MEETING = "7d6f6a1e-57f8-4a39-9a3e-3f6a3b0a8f11"
SECRET = "Secretword"
SEGMENT = {
    "segment_id": 3,
    "text": SECRET,
    "start_time": 0.0,
    "end_time": 1.5,
    "words": [{"text": SECRET, "start": 0.0, "end": 1.0}],
    "speaker": SECRET,
    "language": "de",
}
MESSAGE: dict[str, Any] = {
    "t": None,
    "f": "ingest_segments",
    "a": [],
    "k": {"meeting_id": MEETING, "segments": [SEGMENT]},
    "et": 1_750_000_000_000,
}
CODECS = {"json": msgspec.json.encode, "msgpack": msgpack.packb, "pickle": pickle.dumps}


@pytest.mark.parametrize("codec", CODECS)
def test_a_payload_is_shown_without_words_and_with_ids_and_numbers(codec: str) -> None:
    envelope = read_envelope(CODECS[codec](MESSAGE))
    assert SECRET not in repr(envelope)
    assert envelope.codec == codec
    assert envelope.refusal is None
    assert envelope.kwargs["meeting_id"] == MEETING
    (segment,) = envelope.kwargs["segments"]
    assert (segment["segment_id"], segment["end_time"], segment["language"]) == (3, 1.5, "de")
    assert segment["text"] == "‹10 characters›"


@pytest.mark.parametrize("codec", CODECS)
def test_the_first_bytes_of_a_payload_tell_its_kind_and_its_meeting(codec: str) -> None:
    head = read_head(CODECS[codec](MESSAGE)[:512])
    assert (head.kind, head.meeting_id) == ("ingest_segments", UUID(MEETING))


@pytest.mark.parametrize("codec", CODECS)
def test_words_given_by_position_are_hidden_too(codec: str) -> None:
    envelope = read_envelope(CODECS[codec]({**MESSAGE, "a": [MEETING, [SEGMENT]], "k": {}}))
    assert SECRET not in repr(envelope)
    assert envelope.args[0] == MEETING


def test_what_is_revealed_is_as_it_was_said() -> None:
    envelope = read_envelope(msgspec.json.encode(MESSAGE), reveal=True)
    assert envelope.kwargs["segments"][0]["words"][0]["text"] == SECRET


def test_fields_that_nobody_thought_of_are_hidden_whatever_their_shape() -> None:
    assert masked({"x": [SECRET, {"y": SECRET.encode()}], "language": SECRET * 5}) == {
        "x": ["‹10 characters›", {"y": "‹10 bytes›"}],
        "language": "‹50 characters›",
    }


@pytest.mark.parametrize(
    ("error", "is_shown"),
    [
        ("noteflow.domain.errors.IllegalTransition", True),
        ("arq.worker.JobExecutionFailed", True),
        ("builtins.ValueError", False),
        ("sqlalchemy.exc.DBAPIError", False),
    ],
)
def test_only_errors_that_never_quote_are_shown_with_what_they_say(error: str, is_shown: bool) -> None:
    assert (masked_message(error, SECRET) == SECRET) is is_shown


def test_of_a_cancelled_attempt_only_what_an_operator_said_is_shown() -> None:
    said = "cancelled by ada: the wrong tenant"
    assert masked_message(CANCELLED, said) == said
    assert masked_message(CANCELLED, SECRET) == "‹10 characters›"
    assert masked_message("builtins.Cancelled", said) == "‹34 characters›"


@pytest.mark.parametrize(
    "reason",
    [
        "refused: segment 3 differs",
        "premature: it did not come",
        "bug: ValueError",
        "3 workers died running only this job",
        "its body was missing or had expired",
        "malformed, k: the keyword arguments must be a map with text for keys",
        "no worker knows the function 'no_such_function'",
        "arq:job:job-1 is not a string",
        "the body cannot be read: neither JSON, msgpack nor a pickle: begins with byte 00",
        "the body cannot be read: not json: JSON is malformed: trailing characters (byte 9)",
        "the body cannot be read: not msgpack: Input data was truncated",
        "the body cannot be read: not pickle: os.system is not plain data",
        "the body cannot be read: a pickle int is no message",
        f"the body cannot be read: {PICKLE_REFUSED}",
        "the body cannot be read: not pickle: it holds more than 1000000 values",
        "the body cannot be read: not pickle: it nests deeper than 100 levels",
        "the body cannot be read: not pickle: a key that is of type int is not plain data",
        "the body cannot be read: not msgpack: a key of a map is no text",
        "the body cannot be read: it is 1048700 bytes, and a job may carry 1048576 at most",
    ],
)
def test_our_own_reasons_are_shown_whole(reason: str) -> None:
    assert masked_reason(reason) == reason


def test_of_a_foreign_reason_only_the_class_is_shown() -> None:
    assert masked_reason(f"ValueError: {SECRET}") == "ValueError: ‹10 characters›"
    assert masked_reason(SECRET) == "‹10 characters›"


@pytest.mark.parametrize(
    ("reason", "shown"),
    [
        (f"the body cannot be read: not pickle: could not convert string to float: '{SECRET}'", "be read: not pickle"),
        (f"the body cannot be read: {SECRET}", "the body cannot be read: ‹10"),
        (f"no worker knows the function 'x {SECRET}'", "no worker knows the function ‹12 characters›"),
        (f'no worker knows the function "it\'s {SECRET}"', "no worker knows the function ‹15 characters›"),
    ],
)
def test_our_own_reasons_do_not_bring_a_producers_words_with_them(reason: str, shown: str) -> None:
    assert SECRET not in masked_reason(reason)
    assert shown in masked_reason(reason)


def test_a_functions_name_is_shown_only_if_it_looks_like_one() -> None:
    odd = {**MESSAGE, "f": f"no_such_function {SECRET}"}
    assert read_envelope(msgspec.json.encode(odd)).function == "‹27 characters›"
    assert read_envelope(msgspec.json.encode({**MESSAGE, "f": "jobs.no_such"})).function == "jobs.no_such"
    said = masked_message("arq.worker.JobExecutionFailed", f"function 'no_such {SECRET}' not found")
    assert said == "function ‹18 characters› not found"


def test_a_pickle_that_cannot_be_read_is_not_quoted() -> None:
    envelope = read_envelope(b"\x80\x04F" + SECRET.encode() + b"\n.")
    assert envelope.refusal == "not pickle: it cannot be read, ValueError"
    assert SECRET not in repr(envelope)


def test_a_payload_that_cannot_be_read_says_so_and_shows_nothing() -> None:
    envelope = read_envelope(b"\x00" + SECRET.encode())
    assert envelope.function is None
    assert "neither JSON, msgpack nor a pickle" in str(envelope.refusal)
    assert "word" not in repr(envelope)
