"""Dead letters, wherever they are: in PostgreSQL, or in Redis for the moment until they are moved."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated, Any, Final
from uuid import UUID

import msgspec

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.codec import HEAD_BYTES
from noteflow.infrastructure.queue.decoding import MOST_INTEGER, Unreadable, document
from worker.engine.dead_letters import DeadLetter, DeadLetters, Matching
from worker.inspection.choice import Choice, condition
from worker.inspection.masking import masked_message, masked_name, masked_reason
from worker.inspection.payloads import Head, read_head
from worker.inspection.sources import RedisAway, Sources, moment

MOST_ERRORS: Final = 50
"""Attempts of a job that are read; the engine keeps fewer of one that lives."""


@dataclass(frozen=True, slots=True)
class AttemptTold:
    """One attempt that failed; `message` is masked where it might quote a transcript."""

    error: str
    message: str
    at: datetime | None
    attempt: int | None
    worker: str | None

    @property
    def is_loss(self) -> bool:
        """Whether no error is told of, but a worker that died with the job."""
        return self.error.endswith(".WorkerDied")


@dataclass(frozen=True, slots=True)
class Letter:
    """One dead job. `id` is its number in PostgreSQL, None while it is in Redis; `state` is dead, replayed or dropped.

    `acted_at` is when somebody last replayed or dropped it. `body` is never part of what is printed.
    """

    id: int | None
    job_id: str
    state: str
    kind: str
    meeting_id: UUID | None
    queue: str
    reason: str
    attempts: list[AttemptTold]
    tries: int
    crashes: int
    worker: str
    enqueued_at: datetime | None
    died_at: datetime | None
    acted_at: datetime | None
    size_bytes: int | None
    body: bytes | None


async def find_letters(sources: Sources, choice: Choice, limit: int, *, reveal: bool = False) -> AsyncIterator[Letter]:
    """At most `limit` dead letters of the choice, of Redis first, newest first within each."""
    seen: set[tuple[str, datetime | None]] = set()
    try:
        async for letter in _in_redis(sources, choice, reveal):
            seen.add((letter.job_id, letter.died_at))
            yield letter
            if len(seen) >= limit:
                return
    except RedisAway:
        pass
    for row in await sources.rows(_FIND, limit=limit, **choice.parameters) or ():
        letter = _stored(row, reveal)
        if (letter.job_id, letter.died_at) not in seen:  # it is just being moved
            yield letter


async def letters_of(sources: Sources, job_id: str, *, reveal: bool = False) -> list[Letter]:
    """Every letter that a job ever left and that is kept, newest first."""
    found: list[Letter] = []
    try:
        waiting = await sources.answer(DeadLetters(sources.redis).show(job_id))
        found += [_waiting(sources, waiting, reveal)] if waiting else []
    except RedisAway:
        pass
    died = {letter.died_at for letter in found}
    stored = [_stored(row, reveal) for row in await sources.rows(_OF_JOB, job_id=job_id) or ()]
    return found + [letter for letter in stored if letter.died_at not in died]


async def _in_redis(sources: Sources, choice: Choice, reveal: bool) -> AsyncIterator[Letter]:
    since_ms = None if choice.since is None else int(choice.since.timestamp() * 1000)
    pages = DeadLetters(sources.redis).find(Matching(function=choice.kind, error=choice.error, since_ms=since_ms))
    while True:
        letter = await sources.asked(anext(pages, None))
        if letter is None or isinstance(letter, Unreadable):
            sources.gaps.value(keys.DEAD_LETTERS, letter, None)
            return
        if choice.meeting_id in (None, _head(letter).meeting_id):
            yield _waiting(sources, letter, reveal)


def _head(letter: DeadLetter) -> Head:
    return read_head((letter.body or b"")[:HEAD_BYTES])


def _waiting(sources: Sources, letter: DeadLetter, reveal: bool) -> Letter:
    for name in letter.unreadable:
        sources.gaps.add(f"{keys.dead_letter(letter.job_id)} {name}".rstrip(), "not what it should be")
    return Letter(
        id=None,
        job_id=letter.job_id,
        state="dead",
        kind=letter.function if reveal else masked_name(letter.function),
        meeting_id=_head(letter).meeting_id,
        queue=letter.queue,
        reason=letter.reason if reveal else masked_reason(letter.reason),
        attempts=_placed([each.as_dict() for each in letter.errors], letter.worker, reveal),
        tries=letter.tries,
        crashes=letter.crashes,
        worker=letter.worker,
        enqueued_at=moment(letter.enqueued_ms),
        died_at=moment(letter.died_ms) if letter.died_ms else None,
        acted_at=None,
        size_bytes=None if letter.body is None else len(letter.body),
        body=letter.body,
    )


def _stored(row: Any, reveal: bool) -> Letter:
    return Letter(
        id=row.id,
        job_id=row.job_id,
        state=row.state,
        kind=row.kind if reveal else masked_name(row.kind),
        meeting_id=row.meeting_id,
        queue=row.queue,
        reason=row.reason if reveal else masked_reason(row.reason),
        attempts=_placed(row.errors, row.worker, reveal),
        tries=row.tries,
        crashes=row.crashes,
        worker=row.worker,
        enqueued_at=row.enqueued_at,
        died_at=row.died_at,
        acted_at=row.acted_at,
        size_bytes=row.size_bytes,
        body=row.body,
    )


def _placed(told: Any, worker: str, reveal: bool) -> list[AttemptTold]:
    """A letter's attempts; those of the last claim do not say their number and worker, which the letter knows."""
    return [
        each if each.error.endswith((".Cancelled", "unreadable")) else
        replace(each, attempt=each.attempt or number, worker=each.worker or worker or None)
        for number, each in enumerate(attempts_told(told, reveal=reveal), 1)
    ]  # fmt: skip


class AttemptForm(msgspec.Struct):
    """One attempt that failed, as it is written in JSON."""

    error: str
    message: str
    at_ms: Annotated[float, msgspec.Meta(ge=0, le=MOST_INTEGER)] | None = None
    attempt: Annotated[int, msgspec.Meta(ge=0, le=MOST_INTEGER)] | None = None
    worker: str | None = None


def attempts_told(told: Any, *, reveal: bool = False) -> list[AttemptTold]:
    """The attempts of a job as they may be shown, the latest `MOST_ERRORS`; what is none is told of as unreadable."""
    if isinstance(told, str | bytes):
        told = document(told, list[Any])
    if not isinstance(told, list):
        return [_unreadable(told.why if isinstance(told, Unreadable) else "not a list")] if told is not None else []
    return [_attempt(each, reveal) for each in told[-MOST_ERRORS:]]


def _attempt(told: Any, reveal: bool) -> AttemptTold:
    form: AttemptForm | Unreadable
    if isinstance(told, bytes):
        form = document(told, AttemptForm)
    else:
        try:
            form = msgspec.convert(told, AttemptForm)
        except (msgspec.ValidationError, RecursionError):
            form = Unreadable("not an attempt")
    if isinstance(form, Unreadable):
        return _unreadable(form.why)
    return AttemptTold(
        error=form.error,
        message=form.message if reveal else masked_message(form.error, form.message),
        at=None if form.at_ms is None else moment(form.at_ms),
        attempt=form.attempt,
        worker=form.worker,
    )


def _unreadable(why: str) -> AttemptTold:
    return AttemptTold("unreadable", why, None, None, None)


_TOLD = "(reason || ' ' || CAST(errors AS text))"

_FIND = f"""
    SELECT id, job_id, state, kind, meeting_id, queue, reason, errors, tries, crashes, worker, enqueued_at, died_at,
           CAST(NULL AS timestamptz) AS acted_at, length(body) AS size_bytes, CAST(NULL AS bytea) AS body
    FROM dead_letters WHERE state = 'dead' AND {condition(_TOLD, "died_at")}
    ORDER BY died_at DESC LIMIT :limit
"""  # noqa: S608  # of constants

_OF_JOB = """
    SELECT *, length(body) AS size_bytes,
           (SELECT max(acted_at) FROM dead_letter_acts WHERE dead_letter_id = dead_letters.id) AS acted_at
    FROM dead_letters WHERE job_id = :job_id ORDER BY died_at DESC LIMIT 20
"""
