"""Whether everything that a worker needs is there and fits together: one finding a line, never an exception."""

from __future__ import annotations

from worker.inspection.checks.finding import Finding, Verdict

__all__ = ["Finding", "Verdict"]
