"""What a person may do to a row of the outbox: a job that was asked for or parked, and is not done."""

from __future__ import annotations

from worker.inspection.sources import Sources


async def look_now(sources: Sources, job_id: str) -> None:
    """Have a relay carry the job to Redis at once. Raises PostgresAway."""
    await sources.write(_LOOK_NOW, job_id=job_id)


async def bury_asked(sources: Sources, job_id: str, reason: str, *, state: str) -> bool:
    """Make a dead letter of a job that is still in `state`, in one transaction; return whether it was.

    A relay may have dispatched it since it was looked at: then it may be running. Not of a job that the ledger knows:
    it is complete, and its row of the outbox only goes. Raises PostgresAway.
    """
    return bool(await sources.write(_BURY, job_id=job_id, reason=reason, state=state))


async def forget_asked(sources: Sources, job_id: str, *, state: str | None = None) -> bool:
    """Delete the row of a job, if given only while it is in `state`; return whether it was. Raises PostgresAway."""
    return bool(await sources.write(_FORGET, job_id=job_id, state=state))


# The trigger `tell_relays` wakes one.
_LOOK_NOW = """
    UPDATE outbox SET state = 'waiting', due_at = clock_timestamp() WHERE job_id = :job_id RETURNING job_id
"""

_FORGET = """
    DELETE FROM outbox WHERE job_id = :job_id AND (CAST(:state AS text) IS NULL OR state = :state) RETURNING job_id
"""

_BURY = """
    WITH gone AS (DELETE FROM outbox WHERE job_id = :job_id AND state = :state RETURNING *)
    INSERT INTO dead_letters (job_id, queue, kind, meeting_id, body, reason, errors, tries, crashes, worker,
                              enqueued_at, died_at)
    SELECT job_id, queue, kind, meeting_id, body, :reason, '[]', 0, 0, '', created_at, clock_timestamp() FROM gone
    WHERE NOT EXISTS (SELECT FROM job_ledger WHERE job_ledger.job_id = gone.job_id)
    RETURNING job_id
"""
