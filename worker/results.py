"""What is kept of a job's arguments once it has ended: enough to know it by, nothing that was said."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue.codec import Codec, Kwargs, job_serializer


def result_serializer(message: dict[str, Any]) -> bytes:
    """Write a job, or a result without the text of its arguments: results outlive their jobs, and anybody reads them.

    Ids, states and numbers stay where they stood. In the place of anything else positional stands None; what else
    had a name is left out.
    """
    if "r" not in message:
        return job_serializer(message)
    try:
        return job_serializer({**message, "a": _positional(message["a"]), "k": _named(message["k"])})
    except Exception:
        if not message.get("s"):
            raise
    # Arq would record a failure, but the job has succeeded: what cannot be written is left out instead.
    result = message["r"]
    outcome = {"outcome": str(result["outcome"])} if isinstance(result, dict) and "outcome" in result else None
    codec = getattr(message["k"], "codec", Codec.JSON)
    return job_serializer({**message, "a": [], "k": Kwargs({}, codec), "r": outcome})


def _positional(args: object) -> list[Any]:
    return [_kept(value) for value in args] if isinstance(args, list | tuple) else []


def _named(kwargs: object) -> Kwargs:
    given = kwargs if isinstance(kwargs, Mapping) else {}
    kept = {name: value for name, value in given.items() if _kept(value) is not None}
    return Kwargs(kept, getattr(kwargs, "codec", Codec.JSON))


def _kept(value: Any) -> Any:
    if isinstance(value, str):
        return value if value in MeetingState.__members__ or _is_uuid(value) else None
    return value if isinstance(value, UUID | int) else None


def _is_uuid(text: str) -> bool:
    try:
        return len(text) <= 36 and bool(UUID(text))
    except ValueError:
        return False
