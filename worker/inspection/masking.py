"""A payload without what people said: ids, states and numbers stay, words become their length.

What is shown is chosen by name, not what is hidden: a field that nobody thought of is hidden.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue.decoding import DEEPEST, Bounds, sound

_TOO_MUCH = "‹unreadable: too much›"
_LONGEST_KEY = 200
_MOST_WRITTEN = 500_000
"""Values; more than a job may carry."""
_SHOWN = frozenset({"meeting_id", "state", "language", "_version"})
_STATES = frozenset(MeetingState)
# Our own errors name fields and places and never quote. Of the engine's, these do not either.
_OUR_ERRORS = (
    "noteflow.domain.errors.",
    "noteflow.infrastructure.queue.",
    "worker.engine.losses.",
    "arq.worker.JobExecutionFailed",
)
CANCELLED: Final = "worker.inspection.Cancelled"
"""The class that stands for an operator's cancelling; what it says is who, and their note."""
_OUR_REASONS = re.compile(
    r"(refused|premature|bug|conflict|unavailable): |cancelled by |max \d+ retries exceeded$"
    r"|\d+ workers died running only this job$|its body was missing or had expired$"
    r"|unreadable: the letter's key holds another type$"
    r"|malformed, |the job's id is not UTF-8$|arq:job:.* is not a string$"
)
# What the codecs say of bytes that they cannot read, without those bytes; pickle's own sentences may quote them.
_READERS_SAY = re.compile(
    r"neither JSON, msgpack nor a pickle: (empty|begins with byte [0-9a-f]{2})$"
    r"|not (json|msgpack): (JSON is malformed|MessagePack data is malformed|Input data was truncated|maximum recursion)"
    r"|not \w+: 'utf-8' codec can't decode byte|not pickle: ([A-Za-z_][\w.]{0,80}|an exception) is not plain data$"
    r"|not pickle: (pickle data was truncated|unpickling stack underflow)$"
    r"|not pickle: it (holds|nests|takes|cannot be read) ?[A-Za-z0-9, ]*$|it is a pickle, which is refused unless "
    r"|it is \d+ bytes, and a job may carry \d+ at most$"
    r"|not pickle: a (set of|key that is) [A-Za-z ]{1,40} is not plain data$|not pickle: opcode [0-9a-f]{2} is not"
    r"|not msgpack: (a key of a map is no text|it holds more than \d+ values)$"
    r"|a (json|msgpack|pickle) \w+ is no message$"
)
_ARQ_SAYS = re.compile(r"unable to deserialize \w+")
_UNREADABLE = "the body cannot be read: "
# A function's name is its producer's word: it may be anything.
_UNKNOWN = re.compile(r"((?:no worker knows the )?function )(['\"])(.*)\2(| not found)", re.DOTALL)


def masked(value: Any, *, name: str = "") -> Any:
    """The value with every text in it replaced, but for ids and states; as much of it as may be looked at."""
    return _bounded(value, name, DEEPEST, Bounds(), reveal=False)


def revealed(value: Any) -> Any:
    """The value as it is, as much of it as may be looked at."""
    return _bounded(value, "", DEEPEST, Bounds(), reveal=True)


def can_be_written(value: Any) -> bool:
    """Whether it can be written down whole, as nothing can that holds itself, or twice as much on each level."""
    bounds = Bounds(_MOST_WRITTEN)
    _bounded(value, "", DEEPEST, bounds, reveal=True)
    return not bounds.exceeded


def _bounded(value: Any, name: str, deep: int, bounds: Bounds, *, reveal: bool) -> Any:
    is_text = isinstance(value, str | bytes)
    if deep < 0:
        bounds.exceeded = True
        return "‹unreadable: nested too deep›"
    if not bounds.admits(len(value) if is_text and reveal else 0):
        return _TOO_MUCH
    match value:
        case Mapping():
            found: dict[str, Any] = {}
            for key, each in value.items():
                if bounds.is_spent:
                    return {**found, "…": _TOO_MUCH}
                known = _key(key)
                found[known] = _bounded(each, known, deep - 1, bounds, reveal=reveal)
            return found
        case list() | tuple() | set() | frozenset():
            listed: list[Any] = []
            for each in value:
                if bounds.is_spent:
                    return [*listed, _TOO_MUCH]
                listed.append(_bounded(each, name, deep - 1, bounds, reveal=reveal))
            return listed
        case str() if not reveal and not _may_be_shown(value, name):
            return f"‹{len(value)} characters›"
        case bytes() if not reveal:
            return f"‹{len(value)} bytes›"
        case _ if not is_text and not sound(value):
            bounds.exceeded = True
            return f"‹unreadable: a {type(value).__name__}›"
        case _:
            return value


def _key(key: Any) -> str:
    if isinstance(key, str):
        return key[:_LONGEST_KEY]
    is_plain = isinstance(key, int | float | bytes | UUID) and sound(key)
    return str(key)[:_LONGEST_KEY] if is_plain or key is None else f"‹unreadable: a {type(key).__name__}›"


def masked_message(error: str, message: str) -> str:
    """What an attempt's error said, where its class is known never to quote a payload."""
    if error.endswith(".CodecError"):
        return masked_unreadable(message)
    if error == CANCELLED and message.startswith("cancelled by "):
        return message  # as the letter's reason has it
    if error.startswith(_OUR_ERRORS) or _ARQ_SAYS.fullmatch(message):
        return _with_named_function(message)
    return f"‹{len(message)} characters›"


def masked_reason(reason: str) -> str:
    """Why a job died; of a foreign exception only its class."""
    if _OUR_REASONS.match(reason):
        return reason
    if _UNKNOWN.fullmatch(reason):
        return _with_named_function(reason)
    if reason.startswith(_UNREADABLE):
        return _UNREADABLE + masked_unreadable(reason.removeprefix(_UNREADABLE))
    name, colon, said = reason.partition(": ")
    if colon and re.fullmatch(r"[\w.]{1,120}", name):
        return f"{name}: ‹{len(said)} characters›"
    return f"‹{len(reason)} characters›"


def masked_unreadable(said: str) -> str:
    """Why a payload cannot be read, where that does not quote it."""
    if _READERS_SAY.match(said):
        return said
    codec, colon, more = said.partition(": ")
    return f"{codec}: ‹{len(more)} characters›" if colon and len(codec) <= 20 else f"‹{len(said)} characters›"


def masked_name(function: str) -> str:
    """The name of a job's function if it looks like one; a producer may have written anything there."""
    is_name = len(function) <= 80 and function.replace(".", "_").isidentifier()
    return function if is_name or function == "<unknown>" else f"‹{len(function)} characters›"


def _with_named_function(said: str) -> str:
    found = _UNKNOWN.fullmatch(said)
    if found is None or masked_name(found[3]) == found[3]:
        return said
    return f"{found[1]}{masked_name(found[3])}{found[4]}"


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
