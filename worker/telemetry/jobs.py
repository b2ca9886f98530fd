"""What this process did with jobs, counted as it happens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram

from noteflow.domain.outcomes import AlreadyApplied, Applied, Superseded
from worker.delivery import Delivery
from worker.endings import Completed, Ending, Parked
from worker.engine.claims import Why
from worker.engine.ending import Ending as Recorded
from worker.engine.ending import Outcome
from worker.retry import Failure
from worker.telemetry.bounds import OTHER

SUCCEEDED: Final = "succeeded"
REASONS: Final = (SUCCEEDED, *Failure)
COMPLETED_AS: Final = (Applied.name, AlreadyApplied.name, Superseded.name, "parked")
HANDED_BACK_FOR: Final = (Failure.CONFLICT, Failure.UNAVAILABLE, *Why)
OUTCOMES: Final = (*COMPLETED_AS, *(outcome for outcome in Outcome if outcome is not Outcome.COMPLETE))

_WORK_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_LAG_S: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600)


class JobMetrics:
    """Counts what it hears as the executor's observer and as the engine's `on_ending`. Some ten microseconds a job."""

    def __init__(
        self, registry: CollectorRegistry, kinds: Iterable[str], *, now_s: Callable[[], float] = time.time
    ) -> None:
        self._now_s = now_s
        self._noted: dict[str, str] = {}
        known = (*kinds, OTHER)

        def counter(name: str, what: str, *labels: str) -> Counter:
            return Counter(f"noteflow_{name}", what, labels, registry=registry)

        def histogram(name: str, what: str, buckets_s: tuple[float, ...]) -> dict[str, Histogram]:
            made = Histogram(f"noteflow_{name}_seconds", what, ["kind"], registry=registry, buckets=buckets_s)
            return {kind: made.labels(kind) for kind in known}

        # Children are looked up once and not with each job; and what has not happened yet is told as 0, not left out.
        started = counter("jobs_started", "Claims whose work began, by this process.", "kind")
        self._started = {kind: started.labels(kind) for kind in known}
        finished = counter("jobs_finished", "Claims whose ending is recorded, by this process.", "kind", "outcome")
        self._finished = {(kind, outcome): finished.labels(kind, outcome) for kind in known for outcome in OUTCOMES}
        returns = counter("jobs_handed_back", "Claims that ended at no cost to their job, by why.", "kind", "reason")
        self._returns = {(kind, str(why)): returns.labels(kind, why) for kind in known for why in HANDED_BACK_FOR}
        attempts = counter("attempts", "Attempts that ended, by why they ended.", "kind", "reason")
        self._attempts = {(kind, reason): attempts.labels(kind, reason) for kind in known for reason in REASONS}
        self._attempt_s = histogram("attempt_duration", "How long an attempt took.", _WORK_S)
        self._job_s = histogram("job_duration", "From a claim's first step until its ending is recorded.", _WORK_S)
        self._wait_s = histogram("job_wait", "From enqueueing until a claim's work begins.", _LAG_S)
        self._lag_s = histogram("freshness_lag", "From enqueueing until the effect is committed.", _LAG_S)
        crashes = counter("job_crashes", "Workers that died with the job, counted when the job ends.", "kind")
        self._crashes = {kind: crashes.labels(kind) for kind in known}
        self._leases_lost = counter("leases_lost", "Running jobs that were stopped because another worker has them.")
        self._fenced = counter("fenced_endings", "Endings that Redis refused because another worker has the job.")

    def started(self, delivery: Delivery) -> None:
        """Count it, and how long it waited."""
        self._started[delivery.function].inc()
        self._wait_s[delivery.function].observe(self._age_s(delivery))

    def attempted(self, kind: str, reason: str, took_s: float) -> None:
        """Count it by its reason."""
        self._attempts[kind, reason].inc()
        self._attempt_s[kind].observe(took_s)

    def ended(self, delivery: Delivery, ending: Ending) -> None:
        """Note how it was completed, until Redis has heard of it; observe the lag of what was committed."""
        if isinstance(ending, Completed):
            self._noted[delivery.job_id] = ending.outcome.name
            if isinstance(ending.outcome, Applied):
                self._lag_s[delivery.function].observe(self._age_s(delivery))
        elif isinstance(ending, Parked):
            self._noted[delivery.job_id] = "parked"

    def recorded(self, ending: Recorded) -> None:
        """Count an ending that Redis knows."""
        kind = ending.function if ending.function in self._started else OTHER
        noted = self._noted.pop(ending.job_id, None)
        outcome = noted or Applied.name if ending.outcome is Outcome.COMPLETE else ending.outcome.value
        self._finished[kind, outcome].inc()
        self._job_s[kind].observe(max(0, ending.finished_ms - ending.started_ms) / 1000)
        if (handed_back := self._returns.get((kind, ending.handed_back))) is not None:
            handed_back.inc()
        if ending.outcome is Outcome.LOST:
            (self._leases_lost if isinstance(ending.error, asyncio.CancelledError) else self._fenced).inc()
        elif ending.crashes and ending.outcome not in (Outcome.HANDED_BACK, Outcome.RETRIED):
            self._crashes[kind].inc(ending.crashes)

    def _age_s(self, delivery: Delivery) -> float:
        return max(0.0, self._now_s() - delivery.enqueued_ms / 1000)
