"""Dead letters as they lie in Redis, made fit for PostgreSQL whatever is in them."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any
from uuid import UUID

import msgspec
from redis.asyncio import Redis
from redis.exceptions import ResponseError

from noteflow.infrastructure.persistence.dead_letters import Letter
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.payload import meeting_in, read_payload

MOST_LETTERS = 100
MOST_BYTES = 16 * 1_048_576
"""Of payloads at a time, unless the first is longer."""

FIELDS = tuple(
    b"died_ms body queue function reason errors tries crashes worker enqueued_ms body_bytes".split()
)  # of a letter, as bury.lua writes them
LONGEST_FIELD = 1_048_576
"""In bytes, of any field but the payload."""

MOST_ERRORS = 100
LONGEST_MOMENT = 15
"""In digits of unix ms."""

SET_ASIDE_LIFE_S = 7 * 86_400
LONGEST_ID = 400
LONGEST_TEXT = 10_000
"""In characters."""

_LIST_ANEW = b""
"""The id that `bury.lua` puts into the list of letters when something else stood in its place."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Found:
    """A letter in Redis: its key among the letters, when it says that it died, and what is to be kept of it.

    `letter` is None for a key whose letter is gone.
    """

    key: bytes
    died_ms: bytes
    letter: Letter | None


async def oldest_letters(redis: Redis, without: Collection[bytes] = (), *, most: int = MOST_LETTERS) -> list[Found]:
    """The oldest letters but for some, as many as are well moved together. One cheap command when there are none.

    What is too long of a letter is measured and not fetched. A key that holds no letter is set aside.
    """
    found = await _oldest_keys(redis, most - 1 + len(without))
    wanted = [key for key in found if key not in without][:most]
    if not wanted:
        return []
    sizes = await _sizes(redis, wanted)
    together = wanted[: _how_many([each.get(b"body", 0) for each in sizes])]
    letters = []
    for key, measured in zip(together, sizes, strict=False):
        form = await _form(redis, key, measured)
        is_there = bool(form) or await redis.exists(keys.DEAD_LETTER_PREFIX.encode() + key)
        letters.append(Found(key, form.get(b"died_ms", b""), _letter(key, form, measured) if is_there else None))
        await asyncio.sleep(0)  # a payload takes its time to be read
    return letters


async def _oldest_keys(redis: Redis, last: int) -> list[bytes]:
    store: Any = redis  # whose types are those of two clients at once
    try:
        found: list[bytes] = await store.zrange(keys.DEAD_LETTERS, 0, last)
    except ResponseError as error:
        if not is_wrong_type(error):
            raise
        await set_aside(redis, keys.DEAD_LETTERS.encode())
        found = [_LIST_ANEW]
    if found[:1] == [_LIST_ANEW]:
        await _index_anew(store)
        found = await store.zrange(keys.DEAD_LETTERS, 0, last)
    return found


async def _index_anew(store: Any) -> None:
    """List the letters again whose list something else has taken the place of."""
    prefix = keys.DEAD_LETTER_PREFIX.encode()
    async for key in store.scan_iter(match=prefix + b"*", count=1_000, _type="hash"):
        died_ms = await store.hget(key, "died_ms")
        score = int(died_ms) if died_ms and died_ms.isdigit() and len(died_ms) <= LONGEST_MOMENT else 0
        await store.zadd(keys.DEAD_LETTERS, {key.removeprefix(prefix): score}, nx=True)
    await store.zrem(keys.DEAD_LETTERS, _LIST_ANEW)


async def set_aside(redis: Redis, key: bytes) -> None:
    """Move a key that holds another type out of the way, for a week, and count it."""
    name = keys.SET_ASIDE_PREFIX.encode() + key
    async with redis.pipeline(transaction=False) as pipe:
        pipe.rename(key, name)
        pipe.expire(name, SET_ASIDE_LIFE_S)
        pipe.hincrby(keys.SET_ASIDE, key, 1)  # type: ignore[arg-type]
        for answer in await pipe.execute(raise_on_error=False):
            if isinstance(answer, Exception) and not isinstance(answer, ResponseError):
                raise answer


def is_wrong_type(answer: object) -> bool:
    """Whether Redis says that a key holds another type."""
    return isinstance(answer, ResponseError) and "WRONGTYPE" in str(answer)


async def _sizes(redis: Redis, ids: list[bytes]) -> list[dict[bytes, int]]:
    """How long each field of each letter is; nothing of a key that holds no letter, which is set aside."""
    async with redis.pipeline(transaction=False) as pipe:
        for key in ids:
            for field in FIELDS:
                pipe.execute_command("HSTRLEN", keys.DEAD_LETTER_PREFIX.encode() + key, field)
        answers = await pipe.execute(raise_on_error=False)
    sizes = []
    for number, key in enumerate(ids):
        told = answers[number * len(FIELDS) : (number + 1) * len(FIELDS)]
        if is_wrong_type(told[0]):
            await set_aside(redis, keys.DEAD_LETTER_PREFIX.encode() + key)
        elif error := next((each for each in told if isinstance(each, Exception)), None):
            raise error
        sizes.append({field: size for field, size in zip(FIELDS, told, strict=True) if isinstance(size, int) and size})
    return sizes


async def _form(redis: Redis, key: bytes, sizes: Mapping[bytes, int]) -> dict[bytes, bytes]:
    """The fields that are not too long."""
    wanted = [field for field, size in sizes.items() if size <= (MOST_BYTES if field == b"body" else LONGEST_FIELD)]
    if not wanted:
        return {}
    execute: Any = redis.execute_command
    values = await execute("HMGET", keys.DEAD_LETTER_PREFIX.encode() + key, *wanted)
    return {field: value for field, value in zip(wanted, values, strict=True) if value is not None}


def _how_many(sizes: list[int]) -> int:
    used = 0
    for number, size in enumerate(sizes):
        used += size if size <= MOST_BYTES else 0
        if used > MOST_BYTES and number:
            return number
    return len(sizes)


def _letter(key: bytes, form: Mapping[bytes, bytes], sizes: Mapping[bytes, int]) -> Letter:
    def text(name: bytes) -> str:
        return storable(form.get(name, b"")[: 4 * LONGEST_TEXT].decode("utf-8", "backslashreplace"))

    body, size = form.get(b"body"), sizes.get(b"body", 0)
    not_kept = f"; its payload of {size} bytes is too long to be kept" if size > MOST_BYTES else ""
    return Letter(
        job_id=_storable_id(key),
        queue=text(b"queue"),
        kind=text(b"function"),
        meeting_id=_meeting(body) if body is not None else None,
        reason=text(b"reason") + not_kept,
        errors=_errors(form.get(b"errors", b"[]")),
        tries=_number(form.get(b"tries")),
        crashes=_number(form.get(b"crashes")),
        worker=text(b"worker"),
        enqueued_at=_moment(form.get(b"enqueued_ms")),
        died_at=_moment(form.get(b"died_ms")) or _EPOCH,
        body=body,
        not_kept=body is None and (size > MOST_BYTES or b"body_bytes" in sizes),
    )


def _meeting(body: bytes) -> UUID | None:
    if body[:1] == b"\x80":
        return meeting_in(body)
    payload = read_payload(body, allow_pickle=False)
    return payload.meeting_id if payload else None


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
        start = told[: 4 * LONGEST_TEXT].decode("utf-8", "backslashreplace")
        return [{"error": "unreadable", "message": storable(start)}]
    return [
        {storable(name): storable(value) if isinstance(value, str) else value for name, value in error.items()}
        for error in errors[-MOST_ERRORS:]
    ]


def _number(told: bytes | None) -> int:
    return int(told) if told and told.isdigit() and len(told) < 10 else 0


def _moment(told: bytes | None) -> datetime | None:
    try:
        return _EPOCH + timedelta(milliseconds=int((told or b"")[:LONGEST_MOMENT]))
    except (ValueError, OverflowError):
        return None
