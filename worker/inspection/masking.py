"""A payload without what people said: ids, states and numbers stay, words become their length.

What is shown is chosen by name, not what is hidden: a field that nobody thought of is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from uuid import UUID

from noteflow.domain.value_objects import MeetingState

_SHOWN = frozenset({"meeting_id", "state", "language", "_version"})
_STATES = frozenset(MeetingState)
# Our own errors name fields and places and never quote. Of the engine's, these do not either.
_OUR_ERRORS = ("noteflow.domain.errors.", "noteflow.infrastructure.queue.", "arq.worker.JobExecutionFailed")
_OUR_REASONS = re.compile(
    r"(refused|premature|bug|conflict|unavailable): |cancelled by |max \d+ retries exceeded$"
    r"|\d+ workers died running it$|no worker knows the function '[\w.]{1,80}'$|its body was missing or had expired$"
    r"|malformed, |the job's id is not UTF-8$"
)


def masked(value: Any, *, name: str = "") -> Any:
    """The value with every text in it replaced, but for ids and states."""
    match value:
        case Mapping():
            return {str(key): masked(each, name=str(key)) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [masked(each, name=name) for each in value]
        case str() if not _may_be_shown(value, name):
            return f"‹{len(value)} characters›"
        case bytes():
            return f"‹{len(value)} bytes›"
        case _:
            return value


def masked_message(error: str, message: str) -> str:
    """What an attempt's error said, where its class is known never to quote a payload."""
    return message if error.startswith(_OUR_ERRORS) else f"‹{len(message)} characters›"


def masked_reason(reason: str) -> str:
    """Why a job died; of a foreign exception only its class."""
    if _OUR_REASONS.match(reason):
        return reason
    name, colon, said = reason.partition(": ")
    if colon and re.fullmatch(r"[\w.]{1,120}", name):
        return f"{name}: ‹{len(said)} characters›"
    return f"‹{len(reason)} characters›"


def _may_be_shown(value: str, name: str) -> bool:
    if value in _STATES or _is_uuid(value):
        return True
    return name in _SHOWN and len(value) <= 36 and " " not in value


def _is_uuid(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True
