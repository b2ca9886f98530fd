"""A worker's pages, wired to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from prometheus_client import CollectorRegistry, ProcessCollector
from structlog.typing import FilteringBoundLogger

from worker.engine.worker import Worker
from worker.http.app import create_app
from worker.http.listen import Listen
from worker.http.probes import open_probes
from worker.http.server import serving
from worker.settings import Settings
from worker.telemetry.fleet import FleetMetrics
from worker.telemetry.own import OwnState, Reachable


@asynccontextmanager
async def pages_of(
    worker: Worker, registry: CollectorRegistry, listen: Listen, settings: Settings, log: FilteringBoundLogger
) -> AsyncIterator[None]:
    """Serve `/livez`, `/readyz` and `/metrics` of a worker as long as the block lasts."""
    reachable = Reachable()
    fleet = FleetMetrics(registry)
    OwnState(registry, worker, reachable)
    ProcessCollector(registry=registry)
    async with open_probes(settings, reachable) as probes:

        async def why_not_ready() -> list[str]:
            return [*await probes.doubts(), *worker.health.excuses]

        async def before_scrape() -> None:
            _, fleet.state = await asyncio.gather(probes.doubts(), probes.fleet_state())

        app = create_app(registry, why_not_ready=why_not_ready, before_scrape=before_scrape)
        async with serving(app, listen, log, worker.options.gate):
            yield
