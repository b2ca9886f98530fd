"""What one side writes the other reads, whoever it is and whatever codec it has."""

from __future__ import annotations

import json
import pickle
from typing import Any
from uuid import UUID

import msgpack  # type: ignore[import-untyped]
import pytest
from hypothesis import given

from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Word
from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue.codec import Codec, deserialize, serialize
from noteflow.infrastructure.queue.cutting import digest_of, jobs_of
from noteflow.infrastructure.queue.wire import command_from, kwargs_of
from tests.unit.queue.commands import MEETING, commands, ingest, segment

PLAIN_SEGMENT = {"segment_id": 7, "text": "héllo 👋", "start_time": 1, "end_time": 2.5}


@pytest.mark.parametrize("codec", Codec)
@given(command=commands)
def test_a_command_comes_back_from_every_codec_as_it_went(codec: Codec, command: Command) -> None:
    raw = serialize({"t": None, "f": command.function, "a": [], "k": kwargs_of(command), "et": 1}, codec)

    message = deserialize(raw, allow_pickle=True)

    assert command_from(message["f"], message["a"], message["k"]) == command


@given(command=commands)
def test_the_payload_that_the_client_writes_is_read_as_the_command(command: Command) -> None:
    (job,) = jobs_of(command)

    message = deserialize(job.head + b"1795342746832}")

    assert message["et"] == 1795342746832
    assert command_from(message["f"], message["a"], message["k"]) == command


@given(command=commands)
def test_a_command_has_the_digest_of_the_one_it_was_read_back_as(command: Command) -> None:
    read_back = command_from(command.function, (), json.loads(json.dumps(kwargs_of(command))))

    assert digest_of(read_back) == digest_of(command)


@pytest.mark.parametrize(
    ("read", "meeting_id"),
    [
        (lambda job: deserialize(pickle.dumps(job), allow_pickle=True), MEETING),
        (lambda job: deserialize(pickle.dumps(job), allow_pickle=True), str(MEETING)),
        (lambda job: deserialize(json.dumps(job).encode()), str(MEETING)),
        (lambda job: deserialize(msgpack.packb(job)), str(MEETING)),
    ],
)
def test_what_a_plain_producer_writes_is_understood(read: Any, meeting_id: UUID | str) -> None:
    word = {"text": "héllo", "start": 1, "end": 1.5, "probability": 0.5}
    kwargs = {
        "meeting_id": meeting_id,
        "segments": ({**PLAIN_SEGMENT, "words": (word,)}, PLAIN_SEGMENT | {"segment_id": 8}),
    }

    message = read({"t": None, "f": "ingest_segments", "a": (), "k": kwargs, "et": 1})

    assert command_from(message["f"], message["a"], message["k"]) == IngestSegments(
        MEETING,
        (
            segment(7, "héllo 👋", start_time=1, end_time=2.5, words=(Word("héllo", 1, 1.5, 0.5),)),
            segment(8, "héllo 👋", start_time=1, end_time=2.5),
        ),
    )


def test_arguments_may_be_given_by_position() -> None:
    assert command_from("change_meeting_state", [str(MEETING), "STOPPED"], {"sequence": 4}) == ChangeMeetingState(
        MEETING, MeetingState.STOPPED, 4
    )


def test_the_version_of_the_wire_may_be_said() -> None:
    kwargs = {"meeting_id": str(MEETING), "state": "STOPPED"}

    assert command_from("change_meeting_state", (), {**kwargs, "_version": 1}) == command_from(
        "change_meeting_state", (), kwargs
    )


def test_fields_that_hold_their_default_are_not_written() -> None:
    assert kwargs_of(ingest()) == {
        "meeting_id": str(MEETING),
        "segments": [{"segment_id": 0, "text": "well then", "start_time": 1.0, "end_time": 2.0}],
    }


def test_equal_commands_have_one_id_however_their_numbers_were_written() -> None:
    assert (
        jobs_of(ingest(start_time=0, end_time=1))[0].job_id == jobs_of(ingest(start_time=-0.0, end_time=1.0))[0].job_id
    )


@pytest.mark.parametrize(
    "other", [ingest(text="well"), ingest(revision=1), ingest(end_time=2.1), ingest(words=(Word("a", 1, 2),))]
)
def test_different_segments_have_different_ids(other: IngestSegments) -> None:
    assert jobs_of(other)[0].job_id != jobs_of(ingest())[0].job_id


def test_an_id_can_be_read_by_a_person() -> None:
    digest = digest_of(ingest())

    assert jobs_of(ingest())[0].job_id == f"ingest_segments:{MEETING}:{digest}"
    assert len(digest) == 32
    assert jobs_of(ChangeMeetingState(MEETING, MeetingState.STOPPED, 3))[0].job_id == (
        f"change_meeting_state:{MEETING}:3:STOPPED"
    )
    assert jobs_of(ChangeMeetingState(MEETING, MeetingState.STOPPED))[0].job_id == (
        f"change_meeting_state:{MEETING}:STOPPED"
    )
