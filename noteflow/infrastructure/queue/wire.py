"""A command as Arq's function name and arguments, and back.

The fields of a command are the keyword arguments of its job, so that any Arq producer can write one by hand::

    await arq_redis.enqueue_job("ingest_segments", meeting_id="…", segments=[{"segment_id": 0, "text": "…", …}])

Names that begin with an underscore are the envelope's. `_version` is the version of the wire, absent for 1: a producer
writes it only once the meaning of a field has changed, and a worker refuses a version that is newer than its own rather
than guess. `_traceparent` and `_tracestate` are the trace that the job belongs to (`tracing.py`): no part of what is
asked for, and never a reason to refuse it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct

from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Segment, Word
from noteflow.domain.errors import InvalidValue, UnknownFunction
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.limits import check_counts, check_limits
from noteflow.infrastructure.queue.schema import (
    ChangeMeetingStateFields,
    IngestSegmentsFields,
    SegmentFields,
    WordFields,
    read_fields,
)
from noteflow.infrastructure.queue.tracing import CONTEXT_FIELDS

WIRE_VERSION = 1
VERSION_FIELD = "_version"


def kwargs_of(command: Command) -> dict[str, Any]:
    """The command's keyword arguments in plain JSON values. Equal commands give equal values, to the byte.

    Fields that hold their default are left out, times and shares are floats, whatever numbers they were.
    """
    if isinstance(command, IngestSegments):
        ingest: dict[str, Any] = {
            "meeting_id": str(command.meeting_id),
            "segments": [segment_values(segment) for segment in command.segments],
        }
        if command.batch is not None:
            ingest["batch"] = command.batch
        if command.parts > 1:
            ingest |= {"part": command.part, "parts": command.parts}
        return ingest
    values: dict[str, Any] = {"meeting_id": str(command.meeting_id), "state": command.state.value}
    if command.sequence is not None:
        values["sequence"] = command.sequence
    if command.expected_batches is not None:
        values["expected_batches"] = command.expected_batches
    return values


def segment_values(segment: Segment) -> dict[str, Any]:
    """One segment of the keyword argument `segments`."""
    # Adding 0.0 makes 1 of 1.0 and 0.0 of -0.0: equal segments must read the same, their ids are made of it.
    values: dict[str, Any] = {
        "segment_id": segment.segment_id,
        "text": segment.text,
        "start_time": segment.start_time + 0.0,
        "end_time": segment.end_time + 0.0,
    }
    if segment.words:
        values["words"] = [_word_values(word) for word in segment.words]
    if segment.speaker is not None:
        values["speaker"] = segment.speaker
    if segment.language is not None:
        values["language"] = segment.language
    if segment.confidence is not None:
        values["confidence"] = segment.confidence + 0.0
    if segment.revision:
        values["revision"] = segment.revision
    return values


def command_from(function: str, args: Sequence[object], kwargs: Mapping[str, object]) -> Command:
    """The command that a job's function and arguments, JSON, msgpack or pickled plain data, ask for.

    Raises UnknownFunction, or InvalidValue that names the field with its place (`segments[3].start_time`).
    Never quotes what was said.
    """
    match function:
        case IngestSegments.function:
            named = _named(IngestSegmentsFields, args, kwargs)
            check_counts(named.get("segments"))
            return _ingest_segments(read_fields(IngestSegmentsFields, named))
        case ChangeMeetingState.function:
            fields = read_fields(ChangeMeetingStateFields, _named(ChangeMeetingStateFields, args, kwargs))
            return ChangeMeetingState(
                MeetingId(fields.meeting_id), fields.state, fields.sequence, fields.expected_batches
            )
        case _:
            raise UnknownFunction(_no_such(function))


def _no_such(function: object) -> str:
    if isinstance(function, str) and len(function) <= 80 and function.replace(".", "_").isidentifier():
        return f"no job is called {function!r}"
    return f"no job is called by a {type(function).__name__} that is no identifier"


def _ingest_segments(fields: IngestSegmentsFields) -> IngestSegments:
    meeting_id = MeetingId(fields.meeting_id)
    segments = tuple(_segment(meeting_id, place, segment) for place, segment in enumerate(fields.segments))
    command = IngestSegments(meeting_id, segments, fields.batch, fields.part, fields.parts)
    check_limits(command)
    return command


def _segment(meeting_id: MeetingId, place: int, fields: SegmentFields) -> Segment:
    try:
        return Segment(
            meeting_id,
            fields.segment_id,
            fields.text,
            fields.start_time,
            fields.end_time,
            tuple([_word(number, word) for number, word in enumerate(fields.words)]) if fields.words else (),
            fields.speaker,
            fields.language,
            fields.confidence,
            fields.revision,
        )
    except InvalidValue as error:
        raise InvalidValue(f"segments[{place}].{error.field}", error.complaint) from None


def _word(place: int, fields: WordFields) -> Word:
    try:
        return Word(fields.text, fields.start, fields.end, fields.probability)
    except InvalidValue as error:
        raise InvalidValue(f"words[{place}].{error.field}", error.complaint) from None


def _word_values(word: Word) -> dict[str, Any]:
    values: dict[str, Any] = {"text": word.text, "start": word.start + 0.0, "end": word.end + 0.0}
    if word.probability is not None:
        values["probability"] = word.probability + 0.0
    return values


def _named(form: type[Struct], args: Sequence[object], kwargs: Mapping[str, object]) -> dict[str, object]:
    """Every argument by its name, the envelope's taken off."""
    if not isinstance(args, (list, tuple)):
        raise InvalidValue("args", f"must be a list, not {type(args).__name__}")
    if not isinstance(kwargs, Mapping):
        raise InvalidValue("kwargs", f"must be a mapping, not {type(kwargs).__name__}")
    names = form.__struct_fields__
    if len(args) > len(names):
        raise InvalidValue("args", f"holds {len(args)} values, at most {len(names)} are known: {', '.join(names)}")
    named: dict[str, object] = dict(zip(names, args, strict=False))
    for name, value in kwargs.items():
        if name in named:
            raise InvalidValue(name, "is given twice, by its position and by its name")
        if name == VERSION_FIELD:
            _check_version(value)
        elif name not in CONTEXT_FIELDS:
            named[name] = value
    return named


def _check_version(version: object) -> None:
    if type(version) is not int or version < 1:
        raise InvalidValue(VERSION_FIELD, "must be a whole number from 1")
    if version > WIRE_VERSION:
        newest = f"{WIRE_VERSION} is the newest this worker knows"
        raise InvalidValue(VERSION_FIELD, f"{newest}; upgrade the workers, then replay the job")
