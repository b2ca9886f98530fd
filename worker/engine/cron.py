"""Enqueue each tick of each cron job once in the whole fleet, however late a worker looks at its clock."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from uuid import uuid4

from arq.jobs import serialize_job
from arq.utils import timestamp_ms, to_unix_ms

from noteflow.infrastructure.queue import codec, keys
from worker.engine.scripts import run_script

if TYPE_CHECKING:
    from arq.cron import CronJob

    from worker.engine.worker import Worker


async def enqueue_due(worker: Worker, now: datetime, window_s: float) -> None:
    """Enqueue what falls due before `now` plus `window_s`, and set each job's next tick."""
    end = now + timedelta(seconds=window_s)
    for cron_job in worker.cron_jobs:
        if cron_job.next_run is None:
            if not cron_job.run_at_startup:
                cron_job.calculate_next(now)
                continue
            cron_job.next_run = now
        if cron_job.next_run >= end:
            continue
        tick = cron_job.next_run
        if cron_job.job_id or cron_job.unique:
            await _enqueue_once(worker, cron_job, tick)
        else:
            later = tick if tick > datetime.now(tz=worker.timezone) else None
            await _enqueue(worker, cron_job, later)
        # Not before it is enqueued: if Redis is away, the same tick is tried again.
        cron_job.calculate_next(tick)


async def _enqueue(worker: Worker, cron_job: CronJob, later: datetime | None) -> None:
    """Enqueue as the pool does, but what this worker can read: a pool that it was given may pickle."""
    now_ms = timestamp_ms()
    due_ms = now_ms if later is None else to_unix_ms(later)
    job_id, life_ms = uuid4().hex, due_ms - now_ms + worker.pool.expires_extra_ms
    async with worker.pool.pipeline(transaction=True) as pipe:
        pipe.psetex(keys.job(job_id), life_ms, _body(worker, cron_job, now_ms))
        pipe.zadd(worker.queue_name, {job_id: due_ms})
        await pipe.execute()


def _body(worker: Worker, cron_job: CronJob, now_ms: int) -> bytes:
    serializer = worker.pool.job_serializer or worker.job_serializer
    if serializer is None and not worker.options.allow_pickle and worker.job_deserializer is None:
        serializer = codec.job_serializer
    return serialize_job(cron_job.name, (), {}, None, now_ms, serializer=serializer)


async def _enqueue_once(worker: Worker, cron_job: CronJob, tick: datetime) -> None:
    """Enqueue the tick unless any worker has, also if it has run and ended since.

    Arq keeps the lease of an ended cron job for a minute instead, which only delays a late worker's duplicate.
    """
    now_ms, due_ms = timestamp_ms(), to_unix_ms(tick)
    job_id = cron_job.job_id or f"{cron_job.name}:{due_ms}"
    mark = f"{job_id}:{due_ms}" if cron_job.job_id else job_id
    body = _body(worker, cron_job, now_ms)
    due_ms = max(due_ms, now_ms)
    life_ms = due_ms - now_ms + worker.pool.expires_extra_ms
    await run_script(worker.pool, "cron", [worker.queue_name], [job_id, mark, body, due_ms, life_ms])
