"""Whether PostgreSQL lost commits within the day, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from noteflow.infrastructure.queue import keys
from worker.inspection.sources import Sources, moment
from worker.inspection.words import count, since


@dataclass(frozen=True, slots=True)
class PostgresLoss:
    """What was committed after `since`, or shortly before, may be gone from PostgreSQL.

    `noticed_at` is when a relay noticed it, None if none has yet; `results` of jobs that are gone were forgotten then,
    and `jobs` of the outbox are looked at again.
    """

    since: datetime | None
    noticed_at: datetime | None
    results: int
    jobs: int


async def read_postgres_loss(sources: Sources) -> PostgresLoss | None:
    """Return what a relay noted within the day, or what the marks show before one does. Raises RedisAway.

    The marks are not compared while PostgreSQL is away.
    """
    async with sources.redis.pipeline(transaction=False) as pipe:  # before PostgreSQL, whose counter only grows
        pipe.hmget(keys.POSTGRESQL_LOST, "since", "at", "results", "jobs")
        pipe.hgetall(keys.POSTGRESQL_MARK)
        noted, marks = await sources.answer(pipe.execute(raise_on_error=False))
    row = await sources.first("SELECT CAST(database_id AS text) AS id, counter, counted_at FROM database_mark")
    if row is not None and isinstance(marks, dict):
        counter, _, _ = (marks.get(row.id.encode()) or b"").partition(b" ")
        if (_number(counter) or 0) > row.counter:
            return PostgresLoss(row.counted_at, None, 0, 0)
    if not isinstance(noted, list) or noted[1] is None:
        return None
    since_ms, at_ms, results, jobs = map(_number, noted)
    return PostgresLoss(moment(since_ms), moment(at_ms), results or 0, jobs or 0)


def description_of(loss: PostgresLoss, now: datetime | None) -> str:
    """Describe what was lost, what was done, and what only producers can do, as part of a sentence."""
    lost = f"PostgreSQL lost what was committed after {since(loss.since, now)}"
    repeat = "only its producers can repeat what was asked for since then"
    if loss.noticed_at is None:
        then = "the next forgets the results of the jobs that are gone"
        return f"{lost}, and no worker has noticed yet: {then}; {repeat}"
    forgotten, again = count(loss.results, "result"), count(loss.jobs, "job")
    done = f"{forgotten} of jobs that are gone forgotten, {again} of the outbox looked at again"
    return f"{lost}, which a worker noticed at {since(loss.noticed_at, now)}: {done}; {repeat}"


def _number(value: Any) -> int | None:
    return int(value) if isinstance(value, bytes) and value.isdigit() and len(value) < 16 else None
