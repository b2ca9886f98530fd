"""Ends the wait of parked jobs whose time is over, unless a dead letter is before them that may be replayed."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.persistence.behind import LONGEST, WAITS_ON


async def give_up_parked(engine: AsyncEngine) -> list[tuple[str, str]]:
    """Make dead letters of the jobs that have waited long enough. Returns their ids and what is missing even now.

    A job behind a dead letter is looked at again each minute, for 30 days after it was parked. A job that the ledger
    knows is no dead letter.
    """
    async with engine.begin() as connection:
        await connection.execute(text(_LOOK_AGAIN), {"longest": LONGEST})
        rows = await connection.execute(text(_GIVE_UP), {"longest": LONGEST})
        return [(row.job_id, row.reason) for row in rows]


_LOOK_AGAIN = f"""
    UPDATE outbox SET due_at = clock_timestamp() + interval '1 min' WHERE state = 'parked' AND job_id IN (
        SELECT job_id FROM outbox WHERE state = 'parked' AND due_at <= clock_timestamp() AND {WAITS_ON}
        ORDER BY due_at LIMIT 500 FOR UPDATE SKIP LOCKED)
"""  # noqa: S608  # of constants

# What was missing when a job was parked may have come in part since. A record that no relay has followed yet may be
# about it.
_GIVE_UP = f"""
    WITH given_up AS (
        DELETE FROM outbox WHERE job_id IN (
            SELECT job_id FROM outbox WHERE state = 'parked' AND due_at <= clock_timestamp() AND NOT {WAITS_ON}
              AND NOT EXISTS (SELECT FROM wake_ups WHERE wake_ups.meeting_id = outbox.meeting_id)
            ORDER BY due_at LIMIT 500 FOR UPDATE SKIP LOCKED)
        RETURNING *
    ), told AS (
        SELECT given_up.*, CASE
            WHEN awaits = 'sequence' AND meetings.id IS NOT NULL THEN
                format('state change %s of meeting %s', meetings.sequence + 1, meeting_id)
            WHEN awaits = 'batches' AND cardinality(lacking) > 0 THEN
                format('%s %s of meeting %s (%s)', cardinality(lacking),
                       CASE cardinality(lacking) WHEN 1 THEN 'batch' ELSE 'batches' END, meeting_id,
                       array_to_string(lacking[1:10], ', ')
                       || CASE WHEN cardinality(lacking) > 10 THEN ', …' ELSE '' END)
            ELSE missing END AS lacks
        FROM given_up LEFT JOIN meetings ON meetings.id = meeting_id,
             LATERAL (SELECT CASE awaits WHEN 'batches' THEN missing_batches(meeting_id, expected_batches) END)
             AS counted (lacking)
    )
    INSERT INTO dead_letters (job_id, queue, kind, meeting_id, body, reason, errors, tries, crashes, worker,
                              enqueued_at, died_at)
    SELECT job_id, queue, kind, meeting_id, body,
           format('premature: %s did not come within %s s', lacks,
                  round(extract(epoch FROM clock_timestamp() - parked_at))),
           '[]', 0, 0, '', created_at, clock_timestamp()
    FROM told WHERE NOT EXISTS (SELECT FROM job_ledger WHERE job_ledger.job_id = told.job_id)
    RETURNING job_id, reason
"""  # noqa: S608  # of constants
