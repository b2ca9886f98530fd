"""Read a job's body into something that can be run, or say in one sentence why it cannot."""

from __future__ import annotations

import contextlib
import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from arq.jobs import deserialize_job_raw

from noteflow.infrastructure.queue.codec import Codec, CodecError, Kwargs, codec_of, function_in

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.engine.claims import Claim

_FAR_FUTURE_MS: Final = 32_503_680_000_000  # the year 3000; dates much later than that cannot be represented


_ENQUEUED: Final = re.compile(rb'"et"\s*:\s*(\d{1,14})\s*\}\s*$')


@dataclass(frozen=True, slots=True)
class Envelope:
    """Be a job as its producer wrote it; `tries` counts this one."""

    function: str = "<unknown>"
    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)
    tries: int = 0
    enqueued_ms: int = 0


class Unreadable(Exception):
    """A body is not a job. The message says why; `envelope` holds what could be read."""

    def __init__(self, reason: str, envelope: Envelope) -> None:
        super().__init__(reason)
        self.envelope = envelope


def read_envelope(claim: Claim, deserializer: Callable[[bytes], dict[str, Any]]) -> Envelope:
    """Return the job in `claim`, which has a body; raise `Unreadable`, or arq's `DeserializationError`."""
    assert claim.body is not None
    fields: tuple[Any, ...] = deserialize_job_raw(claim.body, deserializer=deserializer)
    function, args, kwargs, first_try, enqueued_ms = fields
    known = Envelope(function if isinstance(function, str) else "<unknown>", tries=claim.tries)
    complaints = _complaints(function, args, kwargs, first_try, enqueued_ms)
    if complaints:
        raise Unreadable("; ".join(complaints), known)
    tries = max(claim.tries, first_try or 0)
    return Envelope(function, tuple(args), kwargs, tries, int(enqueued_ms))


def empty_envelope(claim: Claim, *, plain_pickle: bool) -> Envelope:
    """Return what stands for a job that is not read, so that its result can be written in its producer's codec.

    Its function, and when it was enqueued, are known if the ends of its body show them.
    """
    codec = Codec.PICKLE if plain_pickle else Codec.JSON
    body = claim.too_long.head if claim.too_long else claim.body or b""
    if body:
        with contextlib.suppress(CodecError):
            codec = codec_of(body)
    enqueued = _ENQUEUED.search(body[-40:])
    return Envelope(
        function_in(body) or "<unknown>",
        kwargs=Kwargs({}, codec),
        tries=claim.tries,
        enqueued_ms=int(enqueued[1]) if enqueued and _is_time(int(enqueued[1])) else 0,
    )


def _complaints(function: object, args: object, kwargs: object, first_try: object, enqueued_ms: Any) -> list[str]:
    complaints = []
    if not isinstance(function, str):
        complaints.append(f"f: the function's name must be text, not {type(function).__name__}")
    if not isinstance(args, list | tuple):
        complaints.append(f"a: the arguments must be a list, not {type(args).__name__}")
    if not isinstance(kwargs, dict) or not all(isinstance(name, str) for name in kwargs):
        complaints.append("k: the keyword arguments must be a map with text for keys")
    if first_try is not None and (type(first_try) is not int or not 0 <= first_try < 2**31):
        complaints.append("t: the try must be a small number or nothing")
    if type(enqueued_ms) not in (int, float) or not _is_time(enqueued_ms):
        complaints.append("et: the time of enqueueing must be in unix milliseconds")
    return complaints


def _is_time(value: float) -> bool:
    return math.isfinite(value) and 0 <= value < _FAR_FUTURE_MS
