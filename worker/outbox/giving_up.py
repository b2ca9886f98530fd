"""Ends the wait of parked jobs whose time is over."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine


async def give_up_parked(engine: AsyncEngine) -> list[tuple[str, str]]:
    """Make dead letters of the jobs that have waited long enough. Returns their ids and what was missing."""
    async with engine.begin() as connection:
        rows = await connection.execute(text(_GIVE_UP))
        return [(row.job_id, row.reason) for row in rows]


_GIVE_UP = """
    WITH given_up AS (
        DELETE FROM outbox WHERE job_id IN (
            SELECT job_id FROM outbox WHERE state = 'parked' AND due_at <= clock_timestamp()
            ORDER BY due_at LIMIT 500 FOR UPDATE SKIP LOCKED)
        RETURNING *
    )
    INSERT INTO dead_letters (job_id, queue, kind, meeting_id, body, reason, errors, tries, crashes, worker,
                              enqueued_at, died_at)
    SELECT job_id, queue, kind, meeting_id, body,
           format('premature: %s did not come within %s s', missing,
                  round(extract(epoch FROM clock_timestamp() - parked_at))),
           '[]', 0, 0, '', created_at, clock_timestamp()
    FROM given_up
    RETURNING job_id, reason
"""
