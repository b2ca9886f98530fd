"""A client of ours, a pool of stock Arq, and a plain view of Redis, all of the test's own Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from arq.connections import ArqRedis
from redis.asyncio import ConnectionPool, Redis

from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.codec import job_deserializer, job_serializer


@pytest.fixture
async def jobs(redis_url: str) -> AsyncIterator[JobClient]:
    async with JobClient.from_url(redis_url) as client:
        yield client


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    client = Redis.from_url(redis_url, decode_responses=True)
    yield client
    await client.aclose()


@pytest.fixture
async def arq_pool(redis_url: str) -> AsyncIterator[ArqRedis]:
    """As a stock Arq service makes it, told to read and write JSON."""
    pool = ArqRedis(
        ConnectionPool.from_url(redis_url), job_serializer=job_serializer, job_deserializer=job_deserializer
    )
    yield pool
    await pool.aclose()
    await pool.connection_pool.disconnect()
