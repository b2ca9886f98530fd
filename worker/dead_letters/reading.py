"""Dead letters as they lie in Redis, made fit for PostgreSQL whatever is in them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

import msgspec
from redis.asyncio import Redis

from noteflow.infrastructure.persistence.dead_letters import Letter
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.payload import read_payload

MOST_LETTERS = 100
MOST_BYTES = 16 * 1_048_576
"""Of payloads at a time, unless the first is longer."""

LONGEST_ID = 400
LONGEST_TEXT = 10_000
"""In characters."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """A letter in Redis: its key among the letters, when it says that it died, and what is to be kept of it.

    `letter` is None for a key whose letter is gone.
    """

    key: bytes
    died_ms: bytes
    letter: Letter | None


async def oldest_letters(redis: Redis, without: Collection[bytes] = ()) -> list[Found]:
    """The oldest letters but for some, as many as are well moved together. One cheap command when there are none."""
    found: list[bytes] = await redis.zrange(keys.DEAD_LETTERS, 0, MOST_LETTERS - 1 + len(without))
    wanted = [key for key in found if key not in without][:MOST_LETTERS]
    if not wanted:
        return []
    sizes = await _of_each(redis, wanted, "HSTRLEN", "body")
    together = wanted[: _how_many(sizes)]
    forms = await _of_each(redis, together, "HGETALL")
    return [
        Found(key, form.get(b"died_ms", b""), _letter(key, form) if form else None)
        for key, form in zip(together, forms, strict=True)
        if isinstance(form, dict)  # and no error, for a key that holds something else
    ]


async def _of_each(redis: Redis, ids: list[bytes], command: str, *arguments: str) -> list[Any]:
    async with redis.pipeline(transaction=False) as pipe:
        for key in ids:
            pipe.execute_command(command, keys.DEAD_LETTER_PREFIX.encode() + key, *arguments)
        answers: list[Any] = await pipe.execute(raise_on_error=False)
    return answers


def _how_many(sizes: list[Any]) -> int:
    used = 0
    for number, size in enumerate(sizes):
        used += size if isinstance(size, int) else 0
        if used > MOST_BYTES and number:
            return number
    return len(sizes)


def _letter(key: bytes, form: Mapping[bytes, bytes]) -> Letter:
    def text(name: bytes) -> str:
        return storable(form.get(name, b"").decode("utf-8", "backslashreplace"))

    body = form.get(b"body")
    payload = read_payload(body) if body is not None else None
    return Letter(
        job_id=_storable_id(key),
        queue=text(b"queue"),
        kind=text(b"function"),
        meeting_id=payload.meeting_id if payload else None,
        reason=text(b"reason"),
        errors=_errors(form.get(b"errors", b"[]")),
        tries=_number(form.get(b"tries")),
        crashes=_number(form.get(b"crashes")),
        worker=text(b"worker"),
        enqueued_at=_moment(form.get(b"enqueued_ms")),
        died_at=_moment(form.get(b"died_ms")) or _EPOCH,
        body=body,
    )


def storable(text: str) -> str:
    """The text as PostgreSQL can hold it, also within JSON: no NUL, no half a surrogate pair, not too long."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\x00", "\\x00")[:LONGEST_TEXT]


def _storable_id(key: bytes) -> str:
    job_id = storable(key.decode("utf-8", "backslashreplace"))
    if len(job_id) <= LONGEST_ID:
        return job_id
    # Too long for an index. Two such ids that begin alike still differ.
    return f"{job_id[:LONGEST_ID]}…{blake2b(key, digest_size=8).hexdigest()}"


def _errors(told: bytes) -> list[dict[str, Any]]:
    try:
        errors = msgspec.json.decode(told, type=list[dict[str, str | int | float | bool | None]])
    except msgspec.DecodeError:
        return [{"error": "unreadable", "message": storable(told.decode("utf-8", "backslashreplace"))}]
    return [
        {storable(name): storable(value) if isinstance(value, str) else value for name, value in error.items()}
        for error in errors
    ]


def _number(told: bytes | None) -> int:
    return int(told) if told and told.isdigit() and len(told) < 10 else 0


def _moment(told: bytes | None) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=int(told or b""))
    except (ValueError, OverflowError):
        return None
