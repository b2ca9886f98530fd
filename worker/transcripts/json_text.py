"""Decode the JSON of a transcript: untyped first, to see which format it is, then into that format's types."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from worker.transcripts.errors import TranscriptError

Shape = TypeVar("Shape")

# No number of a transcript has more digits. Python refuses to convert 4,300 and takes long for fewer.
_LONGEST_NUMBER = 400


def parse_json(text: str, source: str) -> Any:
    """Return the value of a JSON text; a number that is not finite becomes None.

    TranscriptError names the line and column where the text is not JSON.
    """
    try:
        # Not strict: whisper.cpp writes line breaks within its strings as they are.
        return _DECODER.decode(text)
    except json.JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        if error.msg == "Extra data" and text[error.pos] in "{[":
            problem = "holds one JSON value after the other (JSON Lines); put them into one list: [..., ...]"
            raise TranscriptError(source, problem, place=place) from None
        raise TranscriptError(source, f"is not JSON: {error.msg}", place=place) from None
    except _RepeatedKey:
        raise TranscriptError(source, "holds an object that has one key twice, with different values") from None
    except RecursionError:
        raise TranscriptError(source, "is nested too deeply") from None


def shaped(document: Any, shape: type[Shape], source: str, *, strict: bool = True) -> Shape:
    """Return `document` as a value of `shape`; TranscriptError names the element that has another type.

    Without `strict`, numbers may be written as text.
    """
    try:
        return msgspec.convert(document, shape, strict=strict)
    except msgspec.ValidationError as error:
        problem, _, path = str(error).partition(" - at `$")
        if problem.startswith("Expected `float`, got `null`"):
            problem = "must be a finite number"
        raise TranscriptError(source, problem, place=path.rstrip("`").removeprefix(".")) from None
    except UnicodeEncodeError:
        raise TranscriptError(source, "holds half a surrogate pair where no text belongs") from None


def finite(value: float | None) -> float | None:
    """Return `value`, or None where it is not finite."""
    return value if value is not None and math.isfinite(value) else None


class _RepeatedKey(Exception):
    pass


def _object(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    # Of two "segments" the first would be lost silently.
    if len(found) != len(pairs) and any(found[key] != value for key, value in pairs):
        raise _RepeatedKey
    return found


def _float(digits: str) -> float | None:
    return finite(float(digits)) if len(digits) <= _LONGEST_NUMBER else None


def _integer(digits: str) -> int | float | None:
    return int(digits) if len(digits) <= 18 else _float(digits)


def _not_finite(_: str) -> None:
    """Take NaN, Infinity and -Infinity for an unknown number."""


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_float=_float, parse_int=_integer, parse_constant=_not_finite, strict=False
)
