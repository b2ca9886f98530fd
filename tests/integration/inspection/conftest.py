"""Both servers as an operator's command reaches them, and a ground to set jobs up on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from noteflow.infrastructure.persistence.engine import create_engine
from tests.integration.inspection.ground import Ground
from worker.inspection.sources import Sources

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@pytest.fixture
async def ground(redis_url: str, database_url: str) -> AsyncIterator[Ground]:
    """An empty Redis and an empty database, and the sources that read them."""
    redis, engine = Redis.from_url(redis_url), create_engine(database_url, pool_size=3)
    ground = Ground(redis_url, Sources(redis, engine, "arq:queue"))
    yield ground
    await redis.replicaof("NO", "ONE")  # a test may have left it following another
    await ground.close()
    await redis.aclose()
    await engine.dispose()
