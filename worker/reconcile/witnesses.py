"""What is known of one job from each side, and what follows."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from worker.reconcile.findings import JobFinding, JobState


@dataclass(slots=True)
class Witnesses:
    """One job as the outbox, Redis, the ledger and the dead letters know it.

    `ledger_id` is its name in the ledger; `is_gone` says that Redis was asked and could not run it, `is_bodiless` that
    its dead letter has no payload. What was asked of
    one witness after the other may contradict itself, for jobs move meanwhile: see `is_doubtful`.
    """

    job_id: str
    kind: str | None = None
    meeting_id: UUID | None = None
    queue: str | None = None
    ledger_id: str = ""
    outbox_state: str | None = None
    outbox_since: datetime | None = None
    missing: str | None = None
    in_queue: bool = False
    has_body: bool = False
    is_leased: bool = False
    is_gone: bool = False
    is_dead: bool = False
    is_bodiless: bool = False
    is_finished: bool = False
    reason: str = ""
    since: datetime | None = None

    def __post_init__(self) -> None:
        self.ledger_id = self.ledger_id or self.job_id

    @property
    def is_waiting(self) -> bool:
        """Whether it will be run again without anybody doing anything."""
        return self.outbox_state in ("waiting", "dispatched") or (self.in_queue and self.has_body)

    @property
    def is_doubtful(self) -> bool:
        """Whether the witnesses may only seem to say so, because they were not asked at the same moment."""
        return self._verdict()[0] in (JobState.MISSING, JobState.DOUBLED, None)

    def finding(self) -> JobFinding | None:
        """What became of the job; None if nobody knows anything of it any more."""
        state, reason = self._verdict()
        if state is None:
            return None
        repairable = state is JobState.MISSING and self.outbox_state is not None
        return JobFinding(self.job_id, self.kind, self.meeting_id, state, reason, self.since, repairable)

    def _verdict(self) -> tuple[JobState | None, str]:
        if self.is_leased:
            return JobState.RUNNING, "a worker has claimed it"
        if self.is_finished and (self.is_waiting or self.is_dead):
            where = "waits once more" if self.is_waiting else "is kept as dead"
            return JobState.DOUBLED, f"the ledger has it, and it {where}: another run will change nothing"
        if self.is_finished:
            return JobState.APPLIED, "the ledger has it"
        return self._unfinished()

    def _unfinished(self) -> tuple[JobState | None, str]:
        if self.outbox_state == "parked":
            return JobState.PARKED, f"waits for {self.missing}"
        if self.outbox_state == "dispatched" and self.is_gone and not self.is_dead:
            if self.in_queue:
                return JobState.MISSING, "in the queue without a payload, which the next claim takes from the outbox"
            return JobState.MISSING, "given to Redis, which does not have it; the outbox has its payload"
        if self.in_queue and not self.has_body and self.outbox_state is None:
            return JobState.MISSING, "in the queue without a payload; whoever asked for it has to ask again"
        if self.is_waiting:
            return JobState.WAITING, "in the queue" if self.in_queue else "in the outbox, on its way to the queue"
        if self.is_dead and self.is_bodiless:
            return JobState.MISSING, f"a dead letter without a payload, which only its producer has ({self.reason})"
        return (JobState.DEAD, self.reason) if self.is_dead else (None, "")
