"""Notices that Redis has lost everything: a mark that was left there is gone."""

from __future__ import annotations

import time
from collections.abc import Awaitable
from typing import Any

from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, unavailable, without_arguments


async def notice_loss(engine: AsyncEngine, redis: Redis) -> bool:
    """Leave the mark in Redis, and if it was not there, have every dispatched row looked at again. Says whether any.

    The rows come first: a crash in between repeats them, and forgets none.
    """
    if await _answer(redis.exists(keys.OUTBOX_MARK)):
        return False
    async with engine.begin() as connection:
        doubted = await connection.execute(
            text("UPDATE outbox SET due_at = clock_timestamp() WHERE state = 'dispatched'")
        )
    await _answer(redis.set(keys.OUTBOX_MARK, time.time_ns() // 1_000_000))
    return doubted.rowcount > 0


async def _answer(asked: Awaitable[Any]) -> Any:
    try:
        return await asked
    except REDIS_FAILURES as error:
        raise unavailable(error, "the outbox's Redis") from without_arguments(error)
