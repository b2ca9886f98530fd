"""What a reconciliation finds. The names of the fields are those of its JSON, and stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from worker.inspection.loss import RedisLoss
from worker.inspection.set_back import PostgresLoss


class JobState(StrEnum):
    """What became of a job."""

    APPLIED = "applied"
    """The ledger has it."""
    WAITING = "waiting"
    RUNNING = "running"
    PARKED = "parked"
    DEAD = "dead"
    MISSING = "missing"
    """It was asked for, and nobody has it any more; or its payload is gone."""
    DOUBLED = "doubled"
    """The ledger has it, and yet it waits once more or is kept as dead: another run will change nothing."""


@dataclass(frozen=True, slots=True)
class JobFinding:
    """One job, and why it is said to be in that state. `repairable` says whether its payload is still at hand."""

    job_id: str
    kind: str | None
    meeting_id: UUID | None
    state: JobState
    reason: str
    since: datetime | None = None
    repairable: bool = False


@dataclass(frozen=True, slots=True)
class BatchFinding:
    """A meeting some of whose numbered batches are not stored.

    `missing` are those that nobody has, `dead` those of them whose jobs are dead letters, `on_the_way` those that
    wait, run, or are parked. `expected` is None while the meeting has not said how many there are.
    """

    meeting_id: UUID
    expected: int | None
    missing: Sequence[int]
    dead: Sequence[int]
    on_the_way: Sequence[int]


@dataclass(frozen=True, slots=True)
class Report:
    """All that was found. `counts` has every state; `jobs` tells of each that is not simply applied, unless asked.

    `not_examined` says in sentences what was left out: there was too much of it, or it `has_unreadable` parts, keys of
    Redis that hold another type. `redis_lost` says that Redis
    lost its data within the hour: what was enqueued straight into it before is in no count. `postgresql_lost` says that
    PostgreSQL lost commits within the day: what these brought is in no count either. `meeting_known` is None unless one
    meeting was asked for; False if that is not stored and no server has any trace of a job of it.
    """

    examined_at: datetime
    since: datetime
    meeting_id: UUID | None
    counts: Mapping[JobState, int]
    jobs: Sequence[JobFinding]
    batches: Sequence[BatchFinding]
    not_examined: Sequence[str]
    repaired: Sequence[str] = ()
    redis_lost: RedisLoss | None = None
    postgresql_lost: PostgresLoss | None = None
    meeting_known: bool | None = None
    has_unreadable: bool = False

    @property
    def has_gaps(self) -> bool:
        """Whether anything is missing: a job, or a numbered batch."""
        return bool(self.counts[JobState.MISSING]) or any(finding.missing for finding in self.batches)
