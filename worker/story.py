"""The story of one claim, as it is told to the log: one line an attempt, never a word of the payload."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ParamSpec

from structlog.typing import FilteringBoundLogger

from noteflow.infrastructure.queue.tracing import trace_id_in
from noteflow.infrastructure.unfailing import call_unfailing
from worker.delivery import Delivery
from worker.endings import Completed, Dead, Ending, HandedBack, Parked
from worker.engine.verdicts import AttemptError
from worker.inspection.masking import masked_message
from worker.logs import about
from worker.retry import Failure, History, failure_of
from worker.telemetry.observer import Observer
from worker.tracebacks import frames_of

P = ParamSpec("P")

MOST_ERRORS = 50
"""Errors of one claim that are kept: the first and the latest."""


@dataclass(slots=True)
class Story:
    """Which attempts there were, how each failed, and how it ended."""

    delivery: Delivery
    log: FilteringBoundLogger
    observer: Observer
    history: History = field(default_factory=History)
    errors: list[AttemptError] = field(default_factory=list)
    attempt: int = 0
    _began_at: float = field(default_factory=time.monotonic)
    _ids: dict[str, object] = field(init=False)

    def __post_init__(self) -> None:
        self._ids = {
            "job": self.delivery.job_id,
            "kind": self.delivery.function,
            "meeting": None,
            "delivery": self.delivery.number,
            "attempt": 0,
            "worker": self.delivery.worker,
            "trace": trace_id_in(self.delivery.kwargs),
        }
        about(self._ids)
        self._observe(self.observer.started, self.delivery)

    def concerns(self, meeting_id: object) -> None:
        """Name the meeting on every line from here on."""
        self._ids["meeting"] = str(meeting_id)

    def begin_attempt(self) -> None:
        """Another attempt begins."""
        self.attempt += 1
        self._ids["attempt"] = self.attempt
        self._began_at = time.monotonic()

    def note_failure(self, error: Exception) -> None:
        """The attempt, or what came before the first, failed so."""
        failure = failure_of(error)
        self._observe(self.observer.attempted, self.delivery.function, failure, time.monotonic() - self._began_at)
        self.history.failures.append(failure)
        self.errors.append(AttemptError.of(error, attempt=self.attempt, worker=self.delivery.worker))
        if len(self.errors) > MOST_ERRORS:
            del self.errors[1]

    def errors_without_words(self) -> list[dict[str, Any]]:
        """The errors so far, of earlier claims too, oldest first; what may quote the payload is masked.

        For the ledger, which keeps them longer than the payload is kept.
        """
        errors = (*self.delivery.earlier_errors, *self.errors)
        if not errors:
            return []
        return [each.as_dict() | {"message": masked_message(each.error, each.message)} for each in errors]

    def tell_again(self, pause_s: float) -> None:
        """The attempt failed, and another follows after a pause."""
        latest = self.history.failures[-1]
        tell = self.log.warning if latest is Failure.BUG else self.log.info
        tell(f"attempt.{latest}", outcome="again", pause_ms=round(pause_s * 1000), **self._fields())

    def tell(self, ending: Ending, error: Exception | None) -> None:
        """The claim ended."""
        fields = self._fields()
        if isinstance(ending, Completed | Parked):
            took_s = time.monotonic() - self._began_at
            self._observe(self.observer.attempted, self.delivery.function, "succeeded", took_s)
        self._observe(self.observer.ended, self.delivery, ending)
        match ending:
            case Completed(outcome):
                self.log.info("job.completed", outcome=outcome.name, **fields)
            case Parked(missing):
                self.log.info("job.parked", outcome="parked", missing=missing, **fields)
            case HandedBack(reason, delay_s):
                self.log.info(
                    "job.handed_back", outcome="handed_back", reason=reason, at_least_s=round(delay_s, 2), **fields
                )
            case Dead(reason) if error is not None and failure_of(error) is Failure.BUG:
                # A foreign exception may quote the payload, so its name and place have to do.
                self.log.error("job.dead", outcome="dead", reason=reason, at=place_of(error), **fields)
            case Dead(reason):
                self.log.error("job.dead", outcome="dead", reason=reason, **fields)

    def _observe(self, call: Callable[P, None], *args: P.args, **kwargs: P.kwargs) -> None:
        """Call the observer; the job does not depend on it."""
        call_unfailing(self._observer_failed, call, *args, **kwargs)

    def _observer_failed(self, error: Exception) -> None:
        self.log.warning("job.side_step_failed", error=type(error).__name__, at=place_of(error))

    @property
    def _elapsed_ms(self) -> float:
        return round((time.monotonic() - self._began_at) * 1000, 1)

    def _fields(self) -> dict[str, object]:
        latest = {"error": self.errors[-1].error} if self.errors and self.errors[-1].attempt == self.attempt else {}
        return {**self._ids, "ms": self._elapsed_ms, **latest}


def place_of(error: BaseException) -> str | None:
    """Where an error was raised: all that may be said of a foreign one, which may quote the payload."""
    frames = frames_of(error.__traceback__)
    return frames[-1] if frames else None
