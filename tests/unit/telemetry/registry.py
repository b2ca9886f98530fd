"""Every metric there is, as one worker registers it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from jobs import handlers
from worker.telemetry.fleet import FleetMetrics
from worker.telemetry.jobs import JobMetrics
from worker.telemetry.own import OwnState, Reachable
from worker.telemetry.registry import new_registry

if TYPE_CHECKING:
    from worker.engine.worker import Worker


class Health:
    excuses: tuple[str, ...] = ()


class Outage:
    count = 2


class Link:
    backlog = 3


class IdleWorker:
    """What is asked of a worker when somebody scrapes it."""

    worker_id = "vm:1:abc"
    job_counter = 1
    max_jobs = 20
    health = Health()
    outage = Outage()
    link = Link()


@dataclass
class Everything:
    """One worker's registry, and what fills it."""

    registry: CollectorRegistry
    jobs: JobMetrics
    fleet: FleetMetrics
    reachable: Reachable


def everything() -> Everything:
    """As `worker.http.pages` puts it together."""
    registry = new_registry()
    reachable = Reachable(redis=True, database=True)
    metrics = Everything(registry, JobMetrics(registry, handlers()), FleetMetrics(registry), reachable)
    OwnState(registry, cast("Worker", IdleWorker()), reachable)
    return metrics


def described() -> Iterator[Metric]:
    """The families, without a sample where nobody was asked."""
    yield from everything().registry.collect()
