"""What a person may do to a row of the outbox: a job that was asked for or parked, and is not done."""

from __future__ import annotations

from worker.inspection.sources import Sources


async def look_now(sources: Sources, job_id: str) -> None:
    """Have a relay carry the job to Redis at once. Raises PostgresAway."""
    await sources.write(_LOOK_NOW, job_id=job_id)


async def bury_asked(sources: Sources, job_id: str, reason: str) -> bool:
    """Make a dead letter of the job, in one transaction; tell whether it is one. Raises PostgresAway.

    Not of a job that the ledger knows: it is complete, and its row of the outbox only goes.
    """
    return bool(await sources.write(_BURY, job_id=job_id, reason=reason))


async def forget_asked(sources: Sources, job_id: str) -> None:
    """Let nobody put the job into Redis again. Raises PostgresAway."""
    await sources.write("DELETE FROM outbox WHERE job_id = :job_id RETURNING job_id", job_id=job_id)


# The trigger `tell_relays` wakes one.
_LOOK_NOW = """
    UPDATE outbox SET state = 'waiting', due_at = clock_timestamp() WHERE job_id = :job_id RETURNING job_id
"""

_BURY = """
    WITH gone AS (DELETE FROM outbox WHERE job_id = :job_id RETURNING *)
    INSERT INTO dead_letters (job_id, queue, kind, meeting_id, body, reason, errors, tries, crashes, worker,
                              enqueued_at, died_at)
    SELECT job_id, queue, kind, meeting_id, body, :reason, '[]', 0, 0, '', created_at, clock_timestamp() FROM gone
    WHERE NOT EXISTS (SELECT FROM job_ledger WHERE job_ledger.job_id = gone.job_id)
    RETURNING job_id
"""
