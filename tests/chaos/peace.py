"""Whether nothing is left to do."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis

from noteflow.infrastructure.queue.keys import DEFAULT_QUEUE
from tests.chaos.effects import ask


async def is_quiet(database_url: str, redis_url: str) -> bool:
    """Whether no job waits, runs or is parked. Both servers must be up."""
    try:
        async with asyncio.timeout(2.0), Redis.from_url(redis_url) as redis:
            if await redis.zcard(DEFAULT_QUEUE):
                return False
        # In this order: a job is put into the outbox before it leaves Redis, and stays there until it is done.
        (outbox,) = await ask(database_url, "SELECT count(*) AS number FROM outbox")
        return not outbox["number"]
    except TimeoutError:
        return False
