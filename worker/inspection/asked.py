"""What a person may do to a row of the outbox: a job that was asked for or parked, and is not done."""

from __future__ import annotations

from worker.inspection.sources import Sources


async def look_now(sources: Sources, job_id: str) -> None:
    """Have a relay carry the job to Redis at once. Raises PostgresAway."""
    await sources.write(_LOOK_NOW, job_id=job_id)


async def bury_asked(sources: Sources, job_id: str, reason: str) -> None:
    """Make a dead letter of the job, in one transaction. Raises PostgresAway."""
    await sources.write(_BURY, job_id=job_id, reason=reason)


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
    RETURNING job_id
"""
