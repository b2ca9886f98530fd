"""Which jobs are finished: one row each, written by the statement of the job's effect."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from noteflow.domain.outcomes import Outcome
from noteflow.domain.ports import Tally
from noteflow.domain.value_objects import MeetingId


@dataclass(frozen=True, slots=True)
class JobIdentity:
    """The job that a unit of work does. `ledger_id` is under which the ledger knows it, `digest` what it asks for.

    `errors` are those of the attempts before this one, oldest first: each with `error` (its class), `message`, `at_ms`
    (unix), and, if known, `attempt` and `worker`. They must be fit to be kept for as long as the ledger is.
    """

    job_id: str
    ledger_id: str
    kind: str
    meeting_id: MeetingId
    digest: str
    attempt: int
    worker: str
    enqueued_at: datetime
    errors: Sequence[Mapping[str, Any]] = ()


@dataclass(slots=True, eq=False)
class LedgerEntry:
    """Finishes a job, unless it is finished already; then nothing else of the statement is done.

    The outbox row that asked for it ends with it. The same id with another digest ends the statement
    (`refuse_other_digest`, of the migrations).

    A job that was known is locked, not only read: so the answer waits for a synchronous standby too, and a commit that
    the primary has and the standby lacks is never taken for done.
    """

    rank: ClassVar[int] = 10
    clause: ClassVar[str] = """
        known AS (
            INSERT INTO job_ledger AS entry (job_id, kind, meeting_id, digest, outcome, detail, attempts, worker,
                                             enqueued_at, errors)
            VALUES (CAST(:ledger_id AS text), CAST(:kind AS text), CAST(:job_meeting AS uuid), CAST(:digest AS text),
                    CAST(:outcome AS text), CAST(:detail AS jsonb), CAST(:attempts AS int), CAST(:worker AS text),
                    CAST(:enqueued_at AS timestamptz), CAST(:errors AS jsonb))
            ON CONFLICT (job_id) DO UPDATE SET job_id = entry.job_id
            WHERE refuse_other_digest(entry.job_id, entry.digest, excluded.digest)
            RETURNING job_id
        ), ended AS (
            DELETE FROM outbox WHERE job_id = CAST(:job_id AS text)
        )"""
    answer: ClassVar[str] = "EXISTS (SELECT FROM known) AS is_first"

    job: JobIdentity
    outcome: Outcome
    was_known: bool = field(default=False, init=False)

    def values(self) -> Mapping[str, Any]:
        """The parameters."""
        detail = {} if isinstance(self.outcome.detail, Tally) else dict(self.outcome.detail)
        return {
            "ledger_id": self.job.ledger_id,
            "job_id": self.job.job_id,
            "kind": self.job.kind,
            "job_meeting": self.job.meeting_id,
            "digest": self.job.digest,
            "outcome": self.outcome.name,
            "detail": msgspec.json.encode(detail).decode(),
            "attempts": self.job.attempt,
            "worker": self.job.worker,
            "enqueued_at": self.job.enqueued_at,
            "errors": msgspec.json.encode(self.job.errors).decode() if self.job.errors else None,
        }

    def written(self, row: Mapping[str, Any]) -> None:
        """Whether it was finished before."""
        self.was_known = not row["is_first"]
