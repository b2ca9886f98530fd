"""Delete what is old of the ledger and of the dead letters: a little at a time, and commit."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.persistence.faults import translated

PAGE = 2_000

UNHANDLED_KEPT = timedelta(days=90)
"""How long a dead letter waits by default for an operator to replay or drop it."""

WARNED_BEFORE = timedelta(days=7)
"""So long before an unhandled dead letter is deleted, `prune` and `check` warn of it."""

MayComeAgain = Callable[[Sequence[str]], Awaitable[set[str]]]
"""Of job ids, those whose jobs may still be delivered."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What one page came to: how many rows were looked at, and how many of them are gone."""

    seen: int
    gone: int


@dataclass(frozen=True, slots=True)
class Prunable:
    """How many rows of the ledger, handled dead letters and unhandled ones are old enough.

    `expiring` unhandled dead letters will be within the time of the warning.
    """

    entries: int
    handled: int
    unhandled: int
    expiring: int


async def count_prunable(engine: AsyncEngine, before: datetime, dead_before: datetime) -> Prunable:
    """Count what is older: handled than `before`, unhandled than `dead_before`."""
    with translated():
        async with engine.connect() as connection:
            values = {"before": before, "dead_before": dead_before, "soon": dead_before + WARNED_BEFORE}
            row = (await connection.execute(text(_COUNT), values)).one()
            return Prunable(row.entries, row.handled, row.unhandled, row.expiring)


async def prune_ledger(engine: AsyncEngine, before: datetime, may_come_again: MayComeAgain) -> AsyncIterator[Pruned]:
    """Delete rows that were committed before, each page in a transaction of its own.

    The row of a job that may still be delivered stays: it is what keeps another run from taking effect. It is noted
    first how far back the ledger is whole: a result without a row shows a loss of commits only if it is younger.
    """
    with translated():
        async with engine.begin() as connection:
            await connection.execute(text(_NOTE), {"before": before})
    after = {"committed_at": datetime.min.replace(tzinfo=before.tzinfo), "job_id": ""}
    while True:
        with translated():
            async with engine.begin() as connection:
                rows = (await connection.execute(text(_OLD), {"before": before, "most": PAGE, **after})).all()
            if not rows:
                return
            kept = await may_come_again(list({name for row in rows for name in (row.job_id, row.plain_id)}))
            going = [row.job_id for row in rows if not {row.job_id, row.plain_id} & kept]
            async with engine.begin() as connection:
                deleted = await connection.execute(text(_DELETE), {"job_ids": going, "before": before})
        yield Pruned(len(rows), deleted.rowcount)
        after = {"committed_at": rows[-1].committed_at, "job_id": rows[-1].job_id}


async def prune_letters(engine: AsyncEngine, before: datetime) -> AsyncIterator[Pruned]:
    """Delete letters that were replayed or dropped before, and what was done with them."""
    async for page in _by_pages(engine, _DELETE_LETTERS, before):
        yield page


async def prune_unhandled_letters(engine: AsyncEngine, before: datetime) -> AsyncIterator[Pruned]:
    """Delete dead letters of jobs that died before and were neither replayed nor dropped."""
    async for page in _by_pages(engine, _DELETE_UNHANDLED, before):
        yield page


async def _by_pages(engine: AsyncEngine, statement: str, before: datetime) -> AsyncIterator[Pruned]:
    while True:
        with translated():
            async with engine.begin() as connection:
                gone = (await connection.execute(text(statement), {"before": before, "most": PAGE})).rowcount
        if not gone:
            return
        yield Pruned(gone, gone)


_DEALT_WITH = """
    FROM dead_letters WHERE state <> 'dead' AND died_at < :before AND NOT EXISTS (
        SELECT FROM dead_letter_acts WHERE dead_letter_id = dead_letters.id AND acted_at >= :before)
"""
_COUNT = f"""
    SELECT (SELECT count(*) FROM job_ledger WHERE committed_at < :before) AS entries,
           (SELECT count(*) {_DEALT_WITH}) AS handled,
           (SELECT count(*) FROM dead_letters WHERE state = 'dead' AND died_at < :dead_before) AS unhandled,
           (SELECT count(*) FROM dead_letters
            WHERE state = 'dead' AND died_at >= :dead_before AND died_at < :soon) AS expiring
"""  # noqa: S608  # of our own words only
# A state change without a number stands there under its id, an @, and the moment at which it was enqueued.
_OLD = """
    SELECT job_id, regexp_replace(job_id, '@\\d+$', '') AS plain_id, committed_at FROM job_ledger
    WHERE committed_at < :before AND (committed_at, job_id) > (:committed_at, :job_id)
    ORDER BY committed_at, job_id LIMIT :most
"""
_NOTE = "UPDATE database_mark SET pruned_before = greatest(pruned_before, :before)"
# Looked at once more: the outbox may have asked for one of them meanwhile.
_DELETE = """
    DELETE FROM job_ledger WHERE job_id = ANY (:job_ids) AND committed_at < :before AND NOT EXISTS (
        SELECT FROM outbox WHERE outbox.job_id IN (job_ledger.job_id, regexp_replace(job_ledger.job_id, '@\\d+$', '')))
"""
_DELETE_LETTERS = f"DELETE FROM dead_letters WHERE id IN (SELECT id {_DEALT_WITH} LIMIT :most)"  # noqa: S608

# The state is repeated: one of them may be replayed just now, and its dead letter is the record of that.
_DELETE_UNHANDLED = """
    WITH old AS MATERIALIZED (
        SELECT id FROM dead_letters WHERE state = 'dead' AND died_at < :before ORDER BY died_at LIMIT :most
    )
    DELETE FROM dead_letters USING old
    WHERE dead_letters.id = old.id AND dead_letters.state = 'dead'
"""
