"""Where premature jobs wait: in PostgreSQL, until the transaction that brings what they wait for wakes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert

from noteflow.domain.errors import TooMuchWaits
from noteflow.domain.outcomes import Premature
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.persistence.job_tables import outbox
from noteflow.infrastructure.persistence.transaction import Transaction

MOST_JOBS = 10_000
MOST_BYTES = 64 * 1_048_576
"""Parked for one meeting; ten times what a day's recording comes to."""

REPLAY_LATER = "replay it when they are done"
"""The end of the reason of a job that is over the quota: nothing is wrong with it."""


@dataclass(frozen=True, slots=True)
class ParkedJob:
    """A job that is to wait, and how long at most. `body` is its payload as it will go to Redis again."""

    job_id: str
    queue: str
    kind: str
    meeting_id: MeetingId
    sequence: int | None
    body: bytes
    patience_s: float


class Parking:
    """The parked jobs, as one unit of work sees them."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def keep_out_wakers(self, meeting_id: MeetingId) -> None:
        """Let nobody wake this meeting's jobs until the unit ends, and wait for those who are about to.

        What is looked at after this is what a waker will find: `wake_parked` (of the migrations) shares the lock.
        """
        await self._transaction.run(
            text("SELECT pg_advisory_xact_lock(hashtextextended(CAST(:meeting AS text), 5018275))"),
            {"meeting": str(meeting_id)},
        )

    async def check_quota(self, job: ParkedJob) -> None:
        """Raise TooMuchWaits if this job would be one too many, or too much, for its meeting.

        Ask after `keep_out_wakers`, which keeps out other parkers too. A job that is in the outbox already is let
        through: parked or not, it takes the same room.
        """
        row = (await self._transaction.run(text(_PARKED), {"job_id": job.job_id, "meeting": job.meeting_id})).one()
        if row.is_stored or (row.jobs < MOST_JOBS and row.bytes + len(job.body) <= MOST_BYTES):
            return
        waiting = f"{row.jobs:,} jobs ({row.bytes / 1_048_576:.1f} MiB) wait for meeting {job.meeting_id} already"
        limit = f"at most {MOST_JOBS:,} jobs and {MOST_BYTES // 1_048_576} MiB may"
        raise TooMuchWaits(f"{waiting}, and {limit}; {REPLAY_LATER}")

    async def park(self, job: ParkedJob, why: Premature) -> None:
        """Let the job wait. Parked again, it waits from its first time on."""
        now, patience = func.statement_timestamp(), timedelta(seconds=job.patience_s)
        reasons: dict[str, Any] = {
            "state": "parked",
            "awaits": why.awaits.value,
            "missing": why.missing,
        }
        statement = insert(outbox).values(
            job_id=job.job_id,
            queue=job.queue,
            kind=job.kind,
            meeting_id=job.meeting_id,
            sequence=job.sequence,
            body=job.body,
            parked_at=now,
            due_at=now + patience,
            **reasons,
        )
        await self._transaction.run(
            statement.on_conflict_do_update(
                index_elements=[outbox.c.job_id],
                set_=reasons
                | {
                    "parked_at": func.coalesce(outbox.c.parked_at, now),
                    "due_at": func.coalesce(outbox.c.parked_at, now) + patience,
                },
            )
        )


_PARKED = """
    SELECT EXISTS (SELECT FROM outbox WHERE job_id = :job_id) AS is_stored,
           count(*) AS jobs, CAST(coalesce(sum(octet_length(body)), 0) AS bigint) AS bytes
    FROM outbox WHERE meeting_id = :meeting AND state = 'parked'
"""
