"""Let a job say how it ends, beside Arq's own `Retry` and plain exceptions."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec

from noteflow.infrastructure.queue.failures import message_of, type_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


@dataclass(frozen=True, slots=True)
class AttemptError:
    """Tell of one attempt that failed: the exception's class, what it said, and when (unix ms)."""

    error: str
    message: str
    at_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    attempt: int | None = None
    worker: str | None = None

    @classmethod
    def of(cls, error: BaseException, *, attempt: int | None = None, worker: str | None = None) -> AttemptError:
        """Describe `error`; what it says is cut after 2,000 characters."""
        return cls(type_name(error), message_of(error)[:2000], attempt=attempt, worker=worker)

    def as_dict(self) -> dict[str, Any]:
        """Return the JSON form, without what is not known."""
        form = {"error": self.error, "message": self.message, "at_ms": self.at_ms}
        if self.attempt is not None:
            form["attempt"] = self.attempt
        if self.worker is not None:
            form["worker"] = self.worker
        return form


def error_list(attempts: Sequence[AttemptError]) -> bytes:
    """Return the attempts as the JSON array that a dead letter holds."""
    return msgspec.json.encode([attempt.as_dict() for attempt in attempts])


def error_lines(attempts: Sequence[AttemptError]) -> bytes:
    """Return the attempts as JSON objects, a line each, for ``arq:errors:<id>``."""
    return b"\n".join(msgspec.json.encode(attempt.as_dict()) for attempt in attempts)


def attempt_errors(entries: Iterable[bytes]) -> tuple[AttemptError, ...]:
    """Return the attempts that ``arq:errors:<id>`` tells of; whatever else somebody wrote there is left out."""
    told = []
    for entry in entries:
        with suppress(msgspec.DecodeError):
            told.append(msgspec.json.decode(entry, type=AttemptError))
    return tuple(told)


class HandBack(Exception):
    """Run the job again after `delay_s`, and do not count this try. Without a delay it goes back to its old place.

    With `longest_s` the delay doubles each time that the job is handed back for the same reason, up to that.

    For what is not the job's fault: a dependency is away, a predecessor is not there yet. It is counted with the job
    by its `reason`, which should be one of a few. The errors of the `attempts` made inside this run, oldest first, are
    kept with the job (default: the exception this one was raised from): its next run finds them in
    ``ctx["earlier_errors"]``, and its dead letter has them, should it come to that.
    """

    def __init__(
        self,
        delay_s: float = 0.0,
        reason: str = "",
        *,
        longest_s: float | None = None,
        attempts: Sequence[AttemptError] = (),
    ) -> None:
        super().__init__(delay_s, reason)
        self.delay_s = delay_s
        self.reason = reason
        self.longest_s = longest_s
        self.attempts = tuple(attempts)

    def __str__(self) -> str:
        return self.reason or "handed back"


class Refused(Exception):
    """Make the job a dead letter now: no other try would end differently.

    `reason` is one sentence for a person; `attempts` are the errors of the attempts made inside this run, oldest
    first (default: the exception this one was raised from).
    """

    def __init__(self, reason: str, attempts: Sequence[AttemptError] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.attempts = tuple(attempts)

    def __reduce__(self) -> tuple[type[Refused], tuple[str]]:
        return type(self), (self.reason,)
