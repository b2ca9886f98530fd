"""Which jobs are meant: by state, kind, meeting, error and time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from worker.inspection.payloads import Head


class JobState(StrEnum):
    """Where a job is."""

    RUNNING = "running"
    DUE = "due"
    DEFERRED = "deferred"
    OUTBOX = "outbox"
    """Asked for in PostgreSQL, not carried to Redis yet."""
    PARKED = "parked"
    DEAD = "dead"
    COMPLETE = "complete"


UNFINISHED = frozenset(JobState) - {JobState.COMPLETE}


@dataclass(frozen=True, slots=True)
class Choice:
    """The jobs that are meant; what is None does not matter.

    `error` is looked for in reasons, in the errors of attempts, and in what a parked job misses. `since` is compared
    with when a job was due, parked, dead or committed.
    """

    states: frozenset[JobState] = UNFINISHED
    kind: str | None = None
    meeting_id: UUID | None = None
    error: str | None = None
    since: datetime | None = None

    @property
    def is_everything(self) -> bool:
        """Whether it names nothing but states."""
        return (self.kind, self.meeting_id, self.error, self.since) == (None, None, None, None)

    def admits_head(self, head: Head | None) -> bool:
        """Whether a payload that begins so may be meant; one that does not tell its meeting is not."""
        if self.kind is not None and (head is None or head.kind != self.kind):
            return False
        return self.meeting_id is None or (head is not None and head.meeting_id == self.meeting_id)

    def admits_time(self, at: datetime | None) -> bool:
        """Whether something that happened then is meant."""
        return self.since is None or (at is not None and at >= self.since)

    @property
    def parameters(self) -> dict[str, Any]:
        """The same for SQL, as the parameters of `CONDITION` and its neighbours."""
        escaped = None if self.error is None else f"%{_escaped(self.error)}%"
        return {"kind": self.kind, "meeting_id": self.meeting_id, "error": escaped, "since": self.since}


def condition(error: str, at: str) -> str:
    """The SQL of a choice, given the expressions in which an error is looked for and that say when."""
    return f"""
        (CAST(:kind AS text) IS NULL OR kind = :kind)
        AND (CAST(:meeting_id AS uuid) IS NULL OR meeting_id = :meeting_id)
        AND (CAST(:error AS text) IS NULL OR {error} LIKE :error)
        AND (CAST(:since AS timestamptz) IS NULL OR {at} >= :since)"""


def _escaped(words: str) -> str:
    return words.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
