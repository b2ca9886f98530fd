"""What a field may hold, each check naming the field it refuses."""

from __future__ import annotations

import sys
from datetime import datetime
from uuid import UUID

from noteflow.domain.errors import InvalidValue

LARGEST_INTEGER = 2**31 - 1
"""The largest number a segment id, a revision or a sequence may be: PostgreSQL's `integer`."""


def check_text(field: str, value: object, *, longest: int | None = None) -> None:
    """Refuse what is not text, or text that PostgreSQL and UTF-8 cannot hold. Lengths are in characters."""
    if not isinstance(value, str):
        raise InvalidValue(field, f"must be text, not {type(value).__name__}")
    if longest is not None and len(value) > longest:
        raise InvalidValue(field, f"must be at most {longest} characters long, not {len(value)}")
    if value.isascii():
        if "\x00" in value:
            raise InvalidValue(field, f"holds a NUL character at position {value.index(chr(0))}")
        return
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidValue(field, f"holds half a surrogate pair at position {error.start}") from None
    if "\x00" in value:
        raise InvalidValue(field, f"holds a NUL character at position {value.index(chr(0))}")


def check_integer(field: str, value: object, *, least: int = 0) -> None:
    """Refuse what is not a whole number from `least` to `LARGEST_INTEGER`; True and False are not numbers."""
    if type(value) is not int:
        raise InvalidValue(field, f"must be a whole number, not {type(value).__name__}")
    if not least <= value <= LARGEST_INTEGER:
        # A number of thousands of digits cannot be printed.
        shown = f", not {value}" if abs(value) < 10**20 else ""
        raise InvalidValue(field, f"must be from {least} to {LARGEST_INTEGER}{shown}")


def check_span(start_field: str, start: object, end_field: str, end: object) -> None:
    """Refuse times that are not finite seconds with 0 ≤ start ≤ end."""
    check_seconds(start_field, start)
    check_seconds(end_field, end)
    if end < start:  # type: ignore[operator]  # both were found to be numbers
        raise InvalidValue(end_field, f"must not lie before {start_field} ({start}), but is {end}")


def check_seconds(field: str, value: object) -> None:
    """Refuse what is not a finite number of seconds from 0 up."""
    if type(value) is not float and type(value) is not int:
        raise InvalidValue(field, f"must be a number of seconds, not {type(value).__name__}")
    if not abs(value) <= sys.float_info.max:  # false for NaN too
        raise InvalidValue(field, "must be finite")
    if value < 0:
        raise InvalidValue(field, f"must not be negative, but is {value}")


def check_share(field: str, value: object) -> None:
    """Refuse what is not a number from 0 to 1."""
    if type(value) is not float and type(value) is not int:
        raise InvalidValue(field, f"must be a number from 0 to 1, not {type(value).__name__}")
    if not 0 <= value <= 1:
        raise InvalidValue(field, f"must be from 0 to 1, not {value}")


def check_uuid(field: str, value: object) -> None:
    """Refuse what is not a UUID."""
    if not isinstance(value, UUID):
        raise InvalidValue(field, f"must be a UUID, not {type(value).__name__}")


def check_moment(field: str, value: object) -> None:
    """Refuse what is not a moment with its time zone."""
    if not isinstance(value, datetime):
        raise InvalidValue(field, f"must be a datetime, not {type(value).__name__}")
    if value.tzinfo is None:
        raise InvalidValue(field, "must carry its time zone")
