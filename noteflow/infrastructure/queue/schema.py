"""The fields of each command as they travel, and the refusal of any others.

Strict: a name too many, one too few or a value of another type is refused. What only the domain can judge (times
in order, text that PostgreSQL can hold) is left to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta, Struct

from noteflow.domain.checks import LARGEST_INTEGER
from noteflow.domain.commands import MOST_SEGMENTS_PER_JOB
from noteflow.domain.errors import InvalidValue
from noteflow.domain.value_objects import MeetingState

_Ordinal = Annotated[int, Meta(ge=0, le=LARGEST_INTEGER)]
_Number = Annotated[int, Meta(ge=1, le=LARGEST_INTEGER)]


class WordFields(Struct, forbid_unknown_fields=True, gc=False):
    """One spoken word. Times are seconds from the meeting's start."""

    text: str
    start: float
    end: float
    probability: float | None = None


class SegmentFields(Struct, forbid_unknown_fields=True, gc=False):
    """One segment; its meeting is named once, by the command. Times are seconds from the meeting's start."""

    segment_id: _Ordinal
    text: str
    start_time: float
    end_time: float
    words: list[WordFields] = []
    speaker: str | None = None
    language: str | None = None
    confidence: float | None = None
    revision: _Ordinal = 0


class IngestSegmentsFields(Struct, forbid_unknown_fields=True):
    """The keyword arguments of `ingest_segments`, in the order of its positional ones."""

    meeting_id: UUID
    segments: Annotated[list[SegmentFields], Meta(min_length=1, max_length=MOST_SEGMENTS_PER_JOB)]
    batch: _Number | None = None
    part: _Number = 1
    parts: _Number = 1


class ChangeMeetingStateFields(Struct, forbid_unknown_fields=True):
    """The keyword arguments of `change_meeting_state`, in the order of its positional ones."""

    meeting_id: UUID
    state: MeetingState
    sequence: _Number | None = None
    expected_batches: _Ordinal | None = None


Fields = TypeVar("Fields", bound=Struct)


def read_fields(form: type[Fields], named: Mapping[str, object]) -> Fields:
    """The fields of `form`, read from plain values. Raises InvalidValue, which names the field and its place."""
    try:
        return msgspec.convert(named, form)
    except msgspec.ValidationError as error:
        # Not chained: what msgspec says may quote a value, and a value may be somebody's words.
        raise _refusal(str(error)) from None
    except RecursionError:
        raise InvalidValue("kwargs", "is nested too deeply") from None
    except (ValueError, ArithmeticError):  # of a decimal that cannot be compared, for example, which a pickle may hold
        raise InvalidValue("kwargs", "holds a number that is none") from None


_PLACED = re.compile(r"(?P<complaint>.*) - at `(?P<key>key` in `)?\$\.?(?P<place>[\w.\[\]]*)`", re.DOTALL)
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_UNKNOWN = re.compile(r"Object contains unknown field `(.*)`", re.DOTALL)
_WRONG_TYPE = re.compile(r"Expected `(?P<wanted>[\w |]+)`, got `(?P<got>\w+)`")
_BOUND = re.compile(r"Expected `\w+`(?P<length> of length)? (?P<sign>[<>]=?) (?P<number>[\w.+-]+)")
_BOUNDS = {">=": "at least", "<=": "at most", ">": "above", "<": "below"}
_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "an object",
    "uuid": "a UUID",
    "bytes": "bytes",
}
_NAME = re.compile(r"[A-Za-z_]\w{0,63}", re.ASCII)


def _refusal(message: str) -> InvalidValue:
    """What msgspec complains of, in our words: the place first, and nothing quoted but names and bounds."""
    placed = _PLACED.fullmatch(message)
    complaint, place = (placed["complaint"], placed["place"]) if placed else (message, "")
    if placed and placed["key"]:
        return InvalidValue(place or "kwargs", "the name of a field must be text")
    prefix = f"{place}." if place else ""
    if missing := _MISSING.fullmatch(complaint):
        return InvalidValue(f"{prefix}{missing[1]}", "is missing")
    if unknown := _UNKNOWN.fullmatch(complaint):
        if _NAME.fullmatch(unknown[1]):
            return InvalidValue(f"{prefix}{unknown[1]}", "is not a field that is known")
        return InvalidValue(place or "kwargs", "holds a field that is not known, whose name is no identifier")
    if complaint.startswith("Invalid enum value"):
        return InvalidValue(place, f"must be one of {', '.join(MeetingState)}")
    return InvalidValue(place or "kwargs", _in_our_words(complaint))


def _in_our_words(complaint: str) -> str:
    if complaint == "Invalid UUID":
        return "must be a UUID"
    if wrong := _WRONG_TYPE.fullmatch(complaint):
        wanted = " or ".join(_called(each) for each in wrong["wanted"].split(" | "))
        return f"must be {wanted}, not {_called(wrong['got'])}"
    if bound := _BOUND.fullmatch(complaint):
        verb = "have a length of" if bound["length"] else "be"
        return f"must {verb} {_BOUNDS[bound['sign']]} {bound['number']}"
    return complaint[:1].lower() + complaint[1:]


def _called(kind: str) -> str:
    return _KINDS.get(kind, kind)
