"""Job ids as they are shown, and back: what no terminal should be sent is escaped, and may be pasted in again."""

from __future__ import annotations

import re

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.errors import InvalidValue
from noteflow.domain.value_objects import MeetingState
from worker.dead_letters.reading import storable

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_OURS = re.compile(
    rf"{IngestSegments.function}:{_UUID}:[0-9a-f]{{32}}"
    rf"|{ChangeMeetingState.function}:{_UUID}:(\d+:)?({'|'.join(MeetingState)})(@\d+)?"
)
_ESCAPED = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt])")


def stored(text: str) -> str:
    """The text as PostgreSQL keeps it: an id may be any bytes in Redis, and is kept there with the odd ones escaped."""
    try:
        return storable(text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace"))
    except UnicodeEncodeError:  # half a surrogate pair that stands for no byte
        return storable(text)


def unescaped(job_id: str) -> str:
    """The id whose printable form this is; an id without escapes as it is.

    Raises InvalidValue for an escape that stands for no character.
    """
    return _ESCAPED.sub(_character, job_id)


def _character(escape: re.Match[str]) -> str:
    try:
        character = escape[0].encode().decode("unicode_escape")
        character.encode("utf-8", "surrogateescape")
        return character
    except UnicodeError:  # beyond the last character, or half a surrogate pair that stands for no byte
        complaint = f"no job is called so, and the {escape[0]} in it stands for no character"
        raise InvalidValue("job_id", complaint) from None


def is_ours(job_id: str) -> bool:
    """Whether it is a whole id as our own producers make them, unless they are given one; a stock producer's is not."""
    return _OURS.fullmatch(job_id) is not None
