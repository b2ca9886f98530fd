"""How this process stands, read when somebody asks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from worker.engine.worker import Worker
from worker.logs import dropped_lines


@dataclass(slots=True)
class Reachable:
    """Which servers answered a write when they were last asked. Written by whoever asks them."""

    redis: bool = False
    database: bool = False


class OwnState(Collector):
    """One worker's slots, endings on their way, readiness, and what it can reach."""

    def __init__(self, registry: CollectorRegistry, worker: Worker, reachable: Reachable) -> None:
        self._worker = worker
        self._reachable = reachable
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """The names, without asking anybody."""
        return self._families()

    def collect(self) -> Iterable[Metric]:
        """The values of this moment."""
        return self._families()

    def _families(self) -> Iterator[Metric]:
        worker, reachable = self._worker, self._reachable
        info = GaugeMetricFamily(
            "noteflow_worker_info", "Always 1; the labels say who this is.", labels=["worker", "version"]
        )
        info.add_metric([worker.worker_id, _version()], 1)
        yield info
        ready = reachable.redis and reachable.database and not worker.health.excuses
        for name, what, value in (
            ("worker_ready", "1 if this worker claims jobs, or would if there were any.", ready),
            ("worker_running_jobs", "Jobs that hold a slot of this worker.", worker.job_counter),
            ("worker_slots", "Jobs that this worker runs at once.", worker.max_jobs),
            ("worker_unrecorded_endings", "Endings that Redis has not heard of yet.", worker.link.backlog),
            ("redis_up", "1 if Redis takes writes, as seen from this worker.", reachable.redis),
            ("database_up", "1 if PostgreSQL takes writes, as seen from this worker.", reachable.database),
        ):
            yield GaugeMetricFamily(f"noteflow_{name}", what, value=float(value))
        yield CounterMetricFamily(
            "noteflow_redis_outages", "How often this worker has lost Redis.", value=worker.outage.count
        )
        yield CounterMetricFamily(
            "noteflow_log_lines_dropped",
            "Log lines that could not be written: the reader is gone or slow, or the disk is full.",
            value=dropped_lines(),
        )


def _version() -> str:
    try:
        return version("noteflow")
    except PackageNotFoundError:
        return "unknown"
