"""List, show, replay and drop the jobs that will not be tried again, and bury one for a stock worker.

A dead letter is the job as it came, byte for byte, with the errors of all its attempts. It never expires.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import msgspec

from noteflow.infrastructure.queue import keys
from worker.engine.log import Log
from worker.engine.scripts import run_script
from worker.engine.verdicts import AttemptError, error_list

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

logger = Log("worker.engine")

_PAGE: Final = 100


class Replayed(StrEnum):
    """Say what came of a replay."""

    REPLAYED = "replayed"
    MISSING = "missing"
    """There is no such letter."""
    EMPTY = "empty"
    """The body had expired before the job died; there is nothing to run."""
    QUEUED = "queued"
    """A job of this id is in the queue again; its producer was quicker."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """Be one dead job. `body` is as its producer wrote it, None if it had expired; times are unix ms."""

    job_id: str
    function: str
    queue: str
    reason: str
    errors: tuple[AttemptError, ...]
    tries: int
    crashes: int
    enqueued_ms: int | None
    died_ms: int
    worker: str
    body: bytes | None


@dataclass(frozen=True, slots=True)
class Matching:
    """Choose letters; what is None does not matter. `error` is looked for in the reason and in every attempt."""

    function: str | None = None
    queue: str | None = None
    error: str | None = None
    since_ms: int | None = None

    def admits(self, letter: DeadLetter) -> bool:
        """Tell whether `letter` is one of the chosen."""
        if self.function is not None and letter.function != self.function:
            return False
        if self.queue is not None and letter.queue != self.queue:
            return False
        if self.since_ms is not None and letter.died_ms < self.since_ms:
            return False
        told = [letter.reason, *(f"{e.error} {e.message}" for e in letter.errors)]
        return self.error is None or any(self.error in line for line in told)


class DeadLetters:
    """Be the dead letters in one Redis database. `redis` is any asyncio client that returns bytes."""

    def __init__(self, redis: Any) -> None:
        self._redis = redis

    async def count(self) -> int:
        """Return how many there are."""
        return int(await self._redis.zcard(keys.DEAD_LETTERS))

    async def counts(self) -> dict[str, int]:
        """Return how many were ever ``buried``, ``evicted`` to make room, ``replayed`` and ``dropped``."""
        known = dict.fromkeys(("buried", "evicted", "replayed", "dropped"), 0)
        told = await self._redis.hgetall(keys.DEAD_COUNTS)
        return known | {name.decode("utf-8", "replace"): _whole(n) for name, n in told.items()}

    async def find(self, matching: Matching | None = None) -> AsyncIterator[DeadLetter]:
        """Yield the letters that match, newest first, by pages; those that come or go meanwhile may be missed."""
        wanted = matching or Matching()
        before: bytes | str = "+inf"
        seen: set[bytes] = set()
        while True:
            least = "-inf" if wanted.since_ms is None else wanted.since_ms
            page = await self._redis.zrevrangebyscore(
                keys.DEAD_LETTERS, before, least, start=0, num=_PAGE + len(seen), withscores=True
            )
            fresh = [(key, score) for key, score in page if key not in seen]
            if not fresh:
                return
            for letter in await self._read([key for key, _ in fresh]):
                if wanted.admits(letter):
                    yield letter
            last = fresh[-1][1]
            before = repr(last)
            seen = {key for key, score in page if score == last}

    async def show(self, job_id: str) -> DeadLetter | None:
        """Return one letter, None if there is none."""
        found = await self._read([_key(job_id)])
        return found[0] if found else None

    async def replay(self, job_id: str) -> Replayed:
        """Enqueue the letter's body as a new job of the same id: no tries, no errors, no old result."""
        answer = await run_script(self._redis, "replay", [], [_key(job_id)])
        return Replayed(answer.decode())

    async def drop(self, job_id: str) -> bool:
        """Remove a letter for good; tell whether there was one."""
        return bool(await run_script(self._redis, "drop", [], [_key(job_id)]))

    async def bury_copy(
        self,
        job_id: str,
        *,
        queue: str,
        function: str,
        reason: str,
        attempts: Sequence[AttemptError] = (),
        tries: int = 1,
        worker: str = "",
        enqueued_ms: int | None = None,
        most: int = 0,
    ) -> None:
        """Copy a job that is still in its queue into the dead letters, and leave the job to its worker.

        For a stock worker, whose failed jobs leave nothing behind: call it in the job, then raise. `enqueued_ms` is in
        unix ms. `most` is as ``max_dead_letters``: the oldest letters beyond give way, which is logged and counted.
        """
        told = error_list(attempts)
        enqueued = "" if enqueued_ms is None else enqueued_ms
        args = [_key(job_id), "", 0, function, reason, told, tries, worker, enqueued, most, -1, "", ""]
        _, *evicted = await run_script(self._redis, "bury", [queue], args)
        for key in evicted:
            logger.error("dead letter %r gave way to newer ones: there may be %d", key.decode(errors="replace"), most)

    async def _read(self, ids: list[bytes]) -> list[DeadLetter]:
        async with self._redis.pipeline(transaction=False) as pipe:
            for key in ids:
                pipe.hgetall(keys.DEAD_LETTER_PREFIX.encode() + key)
            fields = await pipe.execute(raise_on_error=False)
        return [_letter(key, form) for key, form in zip(ids, fields, strict=True) if form and isinstance(form, dict)]


def _letter(key: bytes, form: dict[bytes, bytes]) -> DeadLetter:
    def text(name: str) -> str:
        return form.get(name.encode(), b"").decode("utf-8", "backslashreplace")

    return DeadLetter(
        key.decode("utf-8", "surrogateescape"),
        text("function"),
        text("queue"),
        text("reason"),
        _attempts(form.get(b"errors", b"[]")),
        _whole(form.get(b"tries")),
        _whole(form.get(b"crashes")),
        _whole(form.get(b"enqueued_ms")) or None,
        _whole(form.get(b"died_ms")),
        text("worker"),
        form.get(b"body"),
    )


def _whole(told: bytes | None) -> int:
    """Return a whole number; 0 for whatever else was written there."""
    return int(told) if told and told.isdigit() and len(told) <= 15 else 0


def _attempts(told: bytes) -> tuple[AttemptError, ...]:
    try:
        return tuple(msgspec.json.decode(told, type=list[AttemptError]))
    except msgspec.DecodeError as error:
        # Somebody else wrote to the job's list of errors. The letter is worth more than the list.
        return (AttemptError.of(error),)


def _key(job_id: str) -> bytes:
    return job_id.encode("utf-8", "surrogateescape")
