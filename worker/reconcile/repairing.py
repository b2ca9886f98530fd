"""Enqueue again what is missing and still at hand."""

from __future__ import annotations

import asyncio
import time

from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.queue.dispatch import Dispatcher
from worker.inspection.kept_pauses import restore_pauses
from worker.outbox.dispatching import dispatch_due
from worker.outbox.epoch import notice_loss
from worker.reconcile.findings import JobState, Report

PATIENCE_S = 30.0


async def repair(engine: AsyncEngine, redis: Redis, report: Report) -> list[str]:
    """Enqueue what the report says is missing and repairable, and return the ids. Raises Unavailable.

    Doing it twice, or while the workers' relays do the same, enqueues it once. What operators have paused is paused
    first, for a Redis that lost jobs lost the pauses too; and it is noted when that was, as a relay would.
    """
    missing = [job.job_id for job in report.jobs if job.state is JobState.MISSING and job.repairable]
    if not missing:
        return []
    if await notice_loss(engine, redis) is None:
        await restore_pauses(engine, redis)
    with translated():
        async with engine.begin() as connection:
            asked = await connection.execute(text(_ASK_AGAIN), {"job_ids": missing})
            again = [row.job_id for row in asked]
        dispatcher, deadline = Dispatcher(redis), time.monotonic() + PATIENCE_S
        while await _still_waiting(engine, again) and time.monotonic() < deadline:
            if not (await dispatch_due(engine, dispatcher)).more:
                await asyncio.sleep(0.05)  # a worker's relay may be about it
    return again


async def _still_waiting(engine: AsyncEngine, job_ids: list[str]) -> bool:
    async with engine.connect() as connection:
        return bool(await connection.scalar(text(_STILL_WAITING), {"job_ids": job_ids}))


_ASK_AGAIN = """
    UPDATE outbox SET state = 'waiting', due_at = clock_timestamp()
    WHERE job_id = ANY (:job_ids) AND state = 'dispatched' RETURNING job_id
"""
_STILL_WAITING = "SELECT EXISTS (SELECT FROM outbox WHERE state = 'waiting' AND job_id = ANY (:job_ids))"
