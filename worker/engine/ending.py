"""Say what became of a claim, for those who look on."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from enum import StrEnum


class Outcome(StrEnum):
    """Say what became of one claim."""

    COMPLETE = "complete"
    """Its function has returned."""
    RETRIED = "retried"
    """It will run again, and the try counts."""
    HANDED_BACK = "handed_back"
    """It will run again, and the try does not count."""
    ABORTED = "aborted"
    """Its producer has aborted it."""
    DEAD = "dead"
    """It will not run again by itself: there is a dead letter."""
    LOST = "lost"
    """Its lease was somebody else's by then: whatever it came to here changes nothing."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Tell an observer what became of one claim, after it is recorded. Times are unix ms.

    `function` is ``<unknown>`` and `enqueued_ms` None where the body cannot be read. `tries` counts this one, `error`
    is what the function raised, or why it was not called. `crashes` counts the workers that have died running the
    job, in this claim and those before it. `reason` is why its dead letter was written, empty if none was. It may
    quote the payload. `handed_back` is why the try did not count, empty if it did.
    """

    job_id: str
    function: str
    queue: str
    outcome: Outcome
    tries: int
    enqueued_ms: int | None
    started_ms: int
    finished_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    error: BaseException | None = None
    crashes: int = 0
    reason: str = ""
    handed_back: str = ""
