"""Follows the records of transactions that could not wake parked jobs themselves.

At REPEATABLE READ and SERIALIZABLE a transaction does not see a row that was parked after its snapshot. What it brings
is committed together with a record in `wake_ups` (by the triggers of the migrations). One statement at READ COMMITTED
that sees the record sees both: what came, and every row that was parked before it came.
"""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.persistence.driver import PooledDriver

MOST_RECORDS = 500

LOOK_AGAIN_S = 0.05
"""For a job whose row another transaction holds, and which it may wake or leave parked."""


@dataclass(frozen=True, slots=True)
class Followed:
    """How many jobs were woken, whether there may be more records, and when to look again at those that remain."""

    woken: int = 0
    more: bool = False
    look_again_s: float | None = None


async def follow_wake_ups(engine: AsyncEngine) -> Followed:
    """Wake the jobs that records are about, and delete these records. Waits for no lock."""
    async with PooledDriver(engine) as driver:
        (row,) = await driver.fetch(_FOLLOW, MOST_RECORDS)
    remaining = row["found"] - row["followed"]
    return Followed(
        woken=row["woken"],
        more=row["found"] == MOST_RECORDS and row["followed"] > 0,
        look_again_s=LOOK_AGAIN_S if remaining else None,
    )


# A record outlives this statement while a row that it would wake is held by another transaction.
_FOLLOW = """
    WITH records AS MATERIALIZED (
        SELECT id, meeting_id, by_batch FROM wake_ups ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
    ), called AS (
        SELECT meeting_id, bool_and(by_batch) AS only_batches FROM records GROUP BY meeting_id
    ), ready AS MATERIALIZED (
        SELECT outbox.job_id, outbox.meeting_id
        FROM called
        JOIN meetings ON meetings.id = called.meeting_id
        JOIN outbox ON outbox.meeting_id = called.meeting_id AND outbox.state = 'parked'
        WHERE CASE
            WHEN only_batches THEN outbox.awaits = 'batches' AND missing_batches(meetings.id, expected_batches) = '{}'
            WHEN outbox.awaits = 'sequence' THEN outbox.sequence <= meetings.sequence + 1
            ELSE true END
    ), free AS MATERIALIZED (
        SELECT job_id FROM outbox
        WHERE job_id IN (SELECT job_id FROM ready) AND state = 'parked' FOR UPDATE SKIP LOCKED
    ), woken AS (
        UPDATE outbox SET state = 'waiting', due_at = clock_timestamp()
        WHERE job_id IN (SELECT job_id FROM free) AND state = 'parked'
        RETURNING job_id
    ), followed AS (
        DELETE FROM wake_ups
        WHERE id IN (SELECT id FROM records) AND NOT EXISTS (
            SELECT FROM ready WHERE ready.meeting_id = wake_ups.meeting_id AND job_id NOT IN (SELECT job_id FROM free))
        RETURNING id
    )
    SELECT (SELECT count(*) FROM records) AS found, (SELECT count(*) FROM followed) AS followed,
           (SELECT count(*) FROM woken) AS woken
"""
