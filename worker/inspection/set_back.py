"""Whether PostgreSQL lost commits within the day, and since when."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.decoding import integer, moment_of_ms
from worker.inspection.sources import Sources
from worker.inspection.words import count, since

MOST_DATABASES: Final = 1_000
"""Of one Redis; their marks are read in one page."""


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
        pipe.hscan(keys.POSTGRESQL_MARK, count=MOST_DATABASES)
        noted, marks = await sources.answers(pipe)
    gaps = sources.gaps
    known = gaps.page(keys.POSTGRESQL_MARK, marks)
    row = await sources.first("SELECT CAST(database_id AS text) AS id, counter, counted_at FROM database_mark")
    if row is not None and (mark := known.get(row.id.encode())) is not None:
        counter = gaps.value(keys.POSTGRESQL_MARK, integer(mark.partition(b" ")[0]), 0)
        if counter > row.counter:
            return PostgresLoss(row.counted_at, None, 0, 0)
    since_ms, at_ms, results, jobs = gaps.value(keys.POSTGRESQL_LOST, noted, (None, None, None, None))
    if at_ms is None:
        return None

    def moment_at(field: str, value: bytes | None) -> datetime | None:
        return None if value is None else gaps.value(f"{keys.POSTGRESQL_LOST} {field}", moment_of_ms(value), None)

    def number_at(field: str, value: bytes | None) -> int:
        return 0 if value is None else gaps.value(f"{keys.POSTGRESQL_LOST} {field}", integer(value), 0)

    return PostgresLoss(
        moment_at("since", since_ms), moment_at("at", at_ms), number_at("results", results), number_at("jobs", jobs)
    )


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
