"""Relays and movers without a worker around them."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from worker.logs import logger
from worker.outbox import Relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine

NEVER_S = 3600.0
"""For a relay that is only to look when it is called."""


@asynccontextmanager
async def relaying(
    engine: AsyncEngine, redis: Redis, *, number: int = 1, rest_s: float = 2.0, kind: type[Any] = Relay
) -> AsyncIterator[None]:
    """Run so many relays (or movers) until the block ends."""
    tasks = [asyncio.create_task(kind(engine, redis, logger(), rest_s=rest_s).run()) for _ in range(number)]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
