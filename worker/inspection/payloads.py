"""What a job asks for: as much as its first bytes tell, or all of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from noteflow.domain.errors import Refused
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.codec import HEAD_BYTES, codec_of, deserialize, function_in
from noteflow.infrastructure.queue.payload import LONGEST_READ
from noteflow.infrastructure.queue.wire import command_from
from worker.inspection.masking import masked, masked_name, masked_unreadable, revealed
from worker.inspection.sources import Sources, moment

_UUID = re.compile(rb"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Head:
    """The kind and the meeting of a job, None where its first bytes do not tell."""

    kind: str | None
    meeting_id: UUID | None


@dataclass(frozen=True, slots=True)
class Envelope:
    """A payload taken apart. `args` and `kwargs` hold no word of a transcript unless they were asked for in clear.

    `refusal` says why this version could not do the job, None if it could.
    """

    codec: str | None
    size_bytes: int
    function: str | None
    args: list[Any]
    kwargs: dict[str, Any]
    enqueued_at: datetime | None
    refusal: str | None


async def heads(sources: Sources, job_ids: Sequence[bytes]) -> list[Head | None]:
    """For each job what the first bytes of its payload tell, None if it has none. One round trip."""
    async with sources.redis.pipeline(transaction=False) as pipe:
        for job_id in job_ids:
            pipe.getrange(_job_key(job_id), 0, HEAD_BYTES - 1)
        found = await sources.answers(pipe)
    return [read_head(each) if isinstance(each, bytes) and each else None for each in found]


def read_head(start: bytes) -> Head:
    """The kind and the meeting in the first bytes of a payload, whatever its codec."""
    meeting = _UUID.search(start)
    return Head(function_in(start), UUID(meeting[0].decode()) if meeting else None)


def read_envelope(body: bytes, *, reveal: bool = False) -> Envelope:
    """All of a payload; what cannot be read is said in `refusal`."""
    codec = None
    if len(body) > LONGEST_READ:
        return Envelope(None, len(body), None, [], {}, None, f"unreadable: longer than {LONGEST_READ:,} bytes")
    try:
        codec = codec_of(body).value
        message = deserialize(body, allow_pickle=True)
    except Refused as error:
        return Envelope(codec, len(body), None, [], {}, None, str(error) if reveal else masked_unreadable(str(error)))
    function, args, kwargs = message.get("f"), message.get("a"), message.get("k")
    enqueued_ms = message.get("et")
    return Envelope(
        codec,
        len(body),
        _function(function, reveal) if isinstance(function, str) else None,
        _shown(args if isinstance(args, list | tuple) else [], reveal),
        _shown(dict(kwargs) if isinstance(kwargs, dict) else {}, reveal),
        moment(enqueued_ms),
        refusal_of(message),
    )


def refusal_of(message: dict[str, Any]) -> str | None:
    """Why this version refuses a decoded payload; None if it would do it."""
    try:
        command_from(message.get("f", ""), message.get("a", ()), message.get("k", {}))
    except Refused as error:
        return f"{type(error).__name__}: {error}"
    except Exception as error:  # of values that only a pickle can hold: what they say may quote them
        return f"unreadable: {type(error).__name__}"
    return None


def head_in_id(job_id: str) -> Head:
    """The kind and the meeting in an id that our own producers made, for a job whose payload is missing."""
    meeting_id = meeting_of(job_id)
    return Head(job_id.partition(":")[0] if meeting_id else None, meeting_id)


def meeting_of(job_id: str) -> UUID | None:
    """The meeting in an id that our own producers made."""
    found = _UUID.search(job_id.encode("utf-8", "replace"))
    with suppress(ValueError):
        return UUID(found[0].decode()) if found else None
    return None


def _shown(value: Any, reveal: bool) -> Any:
    return revealed(value) if reveal else masked(value)


def _function(name: str, reveal: bool) -> str:
    return name if reveal else masked_name(name)


def _job_key(job_id: bytes) -> bytes:
    return keys.JOB_PREFIX.encode() + job_id
