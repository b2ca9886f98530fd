"""A stage for jobs, with one meeting on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from tests.integration.worker.stage import Stage, open_stage
from worker.dead_letters import LetterMover
from worker.logs import logger

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with open_stage(database_url) as stage:
        yield stage


@pytest.fixture
async def met(stage: Stage) -> UUID:
    """A meeting that was just created."""
    return await stage.judge.new_meeting()


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """A Redis without a key."""
    async with Redis.from_url(redis_url) as redis:
        yield redis


@pytest.fixture
def mover(stage: Stage, redis: Redis) -> LetterMover:
    """Moves letters when it is told to."""
    return LetterMover(stage.engine, redis, logger())
