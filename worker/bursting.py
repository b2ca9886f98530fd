"""The outbox at the end of a burst, and what a pause has kept from it."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import FilteringBoundLogger

from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.queue.dispatch import Dispatcher
from noteflow.infrastructure.queue.keys import PAUSED
from noteflow.infrastructure.queue.urls import open_redis
from worker.engine.remaining import Remaining, remaining
from worker.inspection.pauses import read_pauses
from worker.outbox.dispatching import dispatch_due
from worker.outbox.waking import follow_wake_ups
from worker.settings import Settings


async def carry_over(settings: Settings, log: FilteringBoundLogger) -> bool:
    """Carry all that the outbox still asks for to Redis. Says whether the queue holds anything then that is not paused.

    If it does not, what is paused is told to the log.
    Raises Unavailable: a burst that cannot tell must not look like one that is done.
    """
    redis = open_redis(settings.redis_url.get_secret_value(), timeout_s=5.0)
    engine = create_engine(settings.database_url.get_secret_value(), pool_size=1)
    try:
        dispatcher = Dispatcher(redis)
        with translated():
            async with engine.begin() as connection:
                await connection.execute(text(_DOUBT_ALL))
            while await _dispatch(engine, dispatcher):  # noqa: ASYNC110  # another relay may be about it
                await asyncio.sleep(0.02)
        left = await remaining(redis, settings.queue_name)
        if not left.runnable:
            await _tell_paused(redis, left, log)
        return bool(left.runnable)
    finally:
        await redis.aclose()
        await engine.dispose()


async def _tell_paused(redis: Redis, left: Remaining, log: FilteringBoundLogger) -> None:
    values = {field: await redis.hget(PAUSED, field) or b"" for field in left.paused}  # type: ignore[misc,arg-type]
    for pause, jobs in zip(read_pauses(values), (left.paused[field] for field in sorted(values)), strict=True):
        log.warning("burst.paused", scope=pause.scope, name=pause.name, jobs=jobs, by=pause.actor, reason=pause.reason)


async def _dispatch(engine: AsyncEngine, dispatcher: Dispatcher) -> bool:
    await follow_wake_ups(engine)
    await dispatch_due(engine, dispatcher)
    async with engine.connect() as connection:
        return bool(await connection.scalar(text(_DUE)))


# A job that was woken while its parking was not yet acknowledged counts as dispatched, and Redis has lost it since.
_DOUBT_ALL = "UPDATE outbox SET due_at = clock_timestamp() WHERE state = 'dispatched'"
_DUE = """
    SELECT EXISTS (SELECT FROM outbox WHERE state = 'waiting'
                   OR (state = 'dispatched' AND due_at <= clock_timestamp()))
        OR EXISTS (SELECT FROM wake_ups)
"""
