"""What became of every job, told by four witnesses: the outbox, Redis, the ledger and the dead letters."""

from __future__ import annotations

from worker.reconcile.examining import examine
from worker.reconcile.findings import BatchFinding, JobFinding, JobState, Report
from worker.reconcile.repairing import repair

__all__ = ["BatchFinding", "JobFinding", "JobState", "Report", "examine", "repair"]
