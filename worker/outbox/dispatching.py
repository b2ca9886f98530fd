"""One batch of outbox rows on its way to Redis."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.queue.dispatch import Dispatcher, KeptJob

BATCH = 500
_ONE_AT_A_TIME = 5018276
"""Of PostgreSQL's advisory locks: with it rows reach Redis in the order in which they were asked for."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """How many rows were looked at, and how many had been dispatched before and were missing in Redis."""

    seen: int
    restored: int


async def dispatch_due(engine: AsyncEngine, dispatcher: Dispatcher) -> Dispatched:
    """Dispatch the rows that are due, at most a batch of them.

    Redis is written before the commit: a crash in between dispatches them again, which changes nothing. A row whose
    job is there already (its earlier run is just ending, or it waits) is looked at again soon, later ever more rarely.
    """
    async with engine.begin() as connection:
        await connection.execute(text(f"SELECT pg_advisory_xact_lock({_ONE_AT_A_TIME})"))
        rows = (await connection.execute(text(_DUE), {"most": BATCH})).all()
        if not rows:
            return Dispatched(0, 0)
        put_in = await dispatcher.dispatch([KeptJob(row.job_id, row.queue, row.body) for row in rows])
        await connection.execute(text(_LOOK_AGAIN), {"job_ids": [row.job_id for row in rows], "put_in": put_in})
    restored = sum(1 for row, new in zip(rows, put_in, strict=True) if new and row.state == "dispatched")
    return Dispatched(len(rows), restored)


_DUE = """
    SELECT job_id, queue, body, state FROM outbox
    WHERE state IN ('waiting', 'dispatched') AND due_at <= clock_timestamp()
    ORDER BY position LIMIT :most FOR UPDATE SKIP LOCKED
"""

_LOOK_AGAIN = """
    UPDATE outbox SET
        state = 'dispatched',
        dispatched_at = CASE WHEN put_in THEN clock_timestamp() ELSE coalesce(dispatched_at, clock_timestamp()) END,
        due_at = clock_timestamp() + CASE
            WHEN put_in THEN interval '15 s'
            WHEN state = 'waiting' THEN interval '0.5 s'
            ELSE least(greatest(clock_timestamp() - dispatched_at, interval '15 s'), interval '10 min') END
    FROM unnest(CAST(:job_ids AS text[]), CAST(:put_in AS boolean[])) AS done (id, put_in)
    WHERE job_id = id
"""
