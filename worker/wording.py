"""What is wrong with a value that somebody gave, in our words and not in a library's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_SHOWN: Final = 60

_MUST: Final = {
    "uuid_parsing": "must be a UUID, as in 7bfee548-86bf-47de-a92c-b3381ced79ec",
    "uuid_type": "must be a UUID, as in 7bfee548-86bf-47de-a92c-b3381ced79ec",
    "int_parsing": "must be a whole number",
    "int_parsing_size": "must be a smaller number",
    "int_from_float": "must be a whole number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "bool_parsing": "must be true or false",
    "greater_than": "must be above {gt}",
    "greater_than_equal": "must be at least {ge}",
    "less_than": "must be below {lt}",
    "less_than_equal": "must be at most {le}",
    "literal_error": "must be one of {expected}",
    "enum": "must be one of {expected}",
    "string_too_short": "must not be empty",
}


def complaint_of(error: ErrorDetails, given: object = None) -> str:
    """What a value must be, and what it is if it may be shown: `given`."""
    context: dict[str, Any] = {name: _plain(value) for name, value in error.get("ctx", {}).items()}
    must = _MUST.get(error["type"])
    if must is None:  # a sentence of ours, or of whoever reads arguments
        return str(error.get("ctx", {}).get("error", error["msg"]))
    told = must.format_map(context)
    return told if given in (None, "") else f"{told}, not {shown(given)}"


def _plain(value: object) -> object:
    if isinstance(value, str):
        return value.replace("'", "").replace(" or ", ", ")
    return int(value) if isinstance(value, float) and value.is_integer() else value


def shown(value: object) -> str:
    """A value that was given, quoted, and cut where it is long."""
    text = str(value)
    return repr(text if len(text) <= _SHOWN else f"{text[:_SHOWN]}…")
