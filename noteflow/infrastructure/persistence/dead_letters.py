"""Dead letters in PostgreSQL: kept until a person replays or drops them, each act with its author.

A letter is kept for every death of a job, named by its own number; a job that died twice has two.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, null, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.infrastructure.persistence.dead_letter_query import Matching, matching_rows
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.persistence.finished import Wanted, finished
from noteflow.infrastructure.persistence.job_tables import dead_letter_acts, dead_letters, outbox


class LetterState(StrEnum):
    """What became of a letter."""

    DEAD = "dead"
    REPLAYED = "replayed"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Letter:
    """One death of one job. `errors` are its attempts', oldest first: `error`, `message`, `at_ms`, and more if known.

    `body` is the payload as it was claimed, to the byte: None if it was gone, too long (`not_kept`), or not asked for.
    """

    job_id: str
    queue: str
    kind: str
    meeting_id: UUID | None
    reason: str
    errors: Sequence[Mapping[str, Any]] = field(repr=False)
    tries: int
    crashes: int
    worker: str
    enqueued_at: datetime | None
    died_at: datetime
    body: bytes | None = field(default=None, repr=False)
    not_kept: bool = False


@dataclass(frozen=True, slots=True)
class KeptLetter:
    """A letter in the table."""

    id: int
    state: LetterState
    kept_at: datetime
    has_body: bool
    letter: Letter


@dataclass(frozen=True, slots=True)
class Act:
    """What somebody did with a letter."""

    act: LetterState
    actor: str
    note: str | None
    acted_at: datetime


@dataclass(frozen=True, slots=True)
class Archived:
    """What became of letters: `new` were kept. Those of the jobs `finished` were not: the ledger knows these."""

    new: int
    finished: frozenset[str] = frozenset()


async def keep_letters(connection: AsyncConnection, letters: Sequence[Letter], wanted: Wanted) -> Archived:
    """Keep letters and end their jobs' outbox rows, in the caller's transaction; `wanted` tells of their payloads.

    The same death kept again changes nothing: its job may have been replayed since. A job that is applied is no dead
    letter: a worker that lost its lease had committed, and the next one gave the job up.
    """
    known = await finished(connection, wanted)
    rows = [_columns(letter) for letter in letters if letter.job_id not in known]
    ended = set(known)
    new = 0
    if rows:
        statement = insert(dead_letters).values(rows).on_conflict_do_nothing().returning(dead_letters.c.job_id)
        kept = (await connection.execute(statement)).scalars().all()
        new = len(kept)
        ended.update(kept)
    if ended:
        await connection.execute(delete(outbox).where(outbox.c.job_id.in_(ended)))
    return Archived(new, frozenset(known))


async def list_letters(
    engine: AsyncEngine, matching: Matching, *, limit: int = 50, before_id: int | None = None
) -> list[KeptLetter]:
    """Letters without their bodies, the newest first. The next page begins `before_id` the last one's id."""
    query = matching_rows(matching).order_by(dead_letters.c.id.desc()).limit(limit)
    if before_id is not None:
        query = query.where(dead_letters.c.id < before_id)
    with translated():
        async with engine.connect() as connection:
            return [_kept(row) for row in await connection.execute(query)]


async def count_letters(engine: AsyncEngine, matching: Matching) -> int:
    """How many there are."""
    query = select(func.count()).select_from(matching_rows(matching).subquery())
    with translated():
        async with engine.connect() as connection:
            return await connection.scalar(query) or 0


async def show_letter(engine: AsyncEngine, letter_id: int) -> tuple[KeptLetter, list[Act]] | None:
    """A letter with its body, and what was done with it, oldest first; None if there is none."""
    of_letter = select(dead_letter_acts).where(dead_letter_acts.c.dead_letter_id == letter_id)
    with translated():
        async with engine.connect() as connection:
            query = matching_rows(Matching(state=None), with_bodies=True).where(dead_letters.c.id == letter_id)
            row = (await connection.execute(query)).one_or_none()
            if row is None:
                return None
            acts = await connection.execute(of_letter.order_by(dead_letter_acts.c.id))
            return _kept(row), [Act(LetterState(act.act), act.actor, act.note, act.acted_at) for act in acts]


def _columns(letter: Letter) -> dict[str, Any]:
    return {
        "job_id": letter.job_id,
        "queue": letter.queue,
        "kind": letter.kind,
        "meeting_id": letter.meeting_id,
        "body": letter.body,
        "reason": letter.reason,
        "errors": [dict(error) for error in letter.errors],
        "tries": letter.tries,
        "crashes": letter.crashes,
        "worker": letter.worker,
        "enqueued_at": letter.enqueued_at,
        "died_at": letter.died_at,
        # Not later than `kept_at`, which tells it from one that was removed for want of room.
        "payload_removed_at": func.now() if letter.not_kept else null(),
    }


def _kept(row: Row[Any]) -> KeptLetter:
    letter = Letter(
        row.job_id,
        row.queue,
        row.kind,
        row.meeting_id,
        row.reason,
        tuple(row.errors),
        row.tries,
        row.crashes,
        row.worker,
        row.enqueued_at,
        row.died_at,
        row.body,
    )
    return KeptLetter(row.id, LetterState(row.state), row.kept_at, row.has_body, letter)
