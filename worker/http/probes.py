"""Whether the servers take writes, asked over connections of their own, and answered in time whatever happens."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES
from noteflow.infrastructure.queue.urls import open_redis
from worker.inspection.sources import Sources
from worker.settings import Settings
from worker.storage_watch import storage_doubt
from worker.telemetry.cached import Cached
from worker.telemetry.fleet import FleetState, read_fleet_state
from worker.telemetry.own import Reachable

PATIENCE_S = 1.5
SERVER_PATIENCE_S = 0.75
"""So that what one server knows is still told while the other hangs."""

FRESH_S = 0.5
FLEET_FRESH_S = 1.0


class Probes:
    """Asks the servers, for as many callers as there are, at most twice a second."""

    def __init__(self, redis: Redis, engine: AsyncEngine, queue_name: str, reachable: Reachable) -> None:
        self._redis = redis
        self._engine = engine
        self._queue_name = queue_name
        self._reachable = reachable
        self._redis_doubt = Cached(self._ask_redis, fresh_s=FRESH_S, patience_s=PATIENCE_S)
        self._database_doubt = Cached(self._ask_database, fresh_s=FRESH_S, patience_s=PATIENCE_S)
        self._fleet = Cached(self._look, fresh_s=FLEET_FRESH_S, patience_s=PATIENCE_S)

    async def doubts(self) -> list[str]:
        """Why a job could not be done now, as far as it is the servers' fault: a sentence for each, without secrets."""
        found = await asyncio.gather(_answer(self._redis_doubt), _answer(self._database_doubt))
        self._reachable.redis, self._reachable.database = (not doubt for doubt in found)
        return [f"{server}: {doubt}" for server, doubt in zip(("redis", "postgresql"), found, strict=True) if doubt]

    async def fleet_state(self) -> FleetState | None:
        """How the whole stands; None if that could not be learnt in time."""
        try:
            return await self._fleet.get()
        except Exception:  # a scrape tells what it can: redis_up and database_up say why the rest is missing
            return None

    async def close(self) -> None:
        """Give up what is being asked."""
        for cached in (self._redis_doubt, self._database_doubt, self._fleet):
            await cached.close()

    async def _ask_redis(self) -> str:
        try:
            await self._redis.set(keys.PROBE, 1, px=1_000)
        except REDIS_FAILURES as error:
            return type(error).__name__
        return ""

    async def _ask_database(self) -> str:
        return await storage_doubt(self._engine) or ""

    async def _look(self) -> FleetState:
        return await read_fleet_state(Sources(self._redis, self._engine, self._queue_name))


async def _answer(doubt: Cached[str]) -> str:
    try:
        return await doubt.get()
    except TimeoutError:
        return f"no answer within {PATIENCE_S:g} s"
    except Exception as error:
        return type(error).__name__


@asynccontextmanager
async def open_probes(settings: Settings, reachable: Reachable) -> AsyncIterator[Probes]:
    """Probes with connections of their own: a pool that is busy with jobs says nothing about its server."""
    redis = open_redis(settings.redis_url.get_secret_value(), timeout_s=SERVER_PATIENCE_S)
    engine = create_engine(
        settings.database_url.get_secret_value(),
        pool_size=2,
        pool_timeout_s=PATIENCE_S,
        pool_pre_ping=False,
        connect_timeout_s=SERVER_PATIENCE_S,
        command_timeout_s=SERVER_PATIENCE_S,
        lock_timeout_s=SERVER_PATIENCE_S,
        application_name="noteflow-telemetry",
    )
    probes = Probes(redis, engine, settings.queue_name, reachable)
    try:
        yield probes
    finally:
        await probes.close()
        await redis.aclose()
        await engine.dispose()
