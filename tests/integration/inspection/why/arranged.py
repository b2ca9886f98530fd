"""Jobs in the states that more than one file asks about."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue.codec import serialize
from worker.inspection import pausing

if TYPE_CHECKING:
    from tests.integration.inspection.ground import Ground


async def deferred(ground: Ground) -> str:
    """A job that is due in an hour."""
    await ground.worker()
    return await ground.enqueue(defer_by=3_600)


async def next_in_line(ground: Ground) -> str:
    """The only due job, whose workers are busy."""
    await ground.worker(running_count=20)
    return await ground.enqueue()


async def paused_queue(ground: Ground) -> str:
    """A due job of a queue that ada has paused."""
    await ground.worker()
    await pausing.pause(ground.sources, "queue", "arq:queue", reason="the disk is full", actor="ada")
    return await ground.enqueue()


async def running(ground: Ground) -> str:
    """A job that a worker claimed a minute and 35 seconds ago."""
    await ground.worker(age_s=4)
    job_id = await ground.enqueue()
    await ground.claim(job_id, for_s=95)
    return job_id


async def worker_silent(ground: Ground) -> str:
    """A claimed job whose worker has not beaten for 20 s, and whose lease holds."""
    await ground.worker(age_s=20)
    job_id = await ground.enqueue()
    await ground.claim(job_id)
    return job_id


async def worker_lost(ground: Ground) -> str:
    """A claimed job whose worker has no record."""
    job_id = await ground.enqueue()
    await ground.claim(job_id)
    return job_id


async def lease_over(ground: Ground) -> str:
    """A claimed job whose lease is over and was never ended."""
    await ground.worker()
    job_id = await ground.enqueue()
    await ground.claim(job_id)
    await ground.redis.delete(f"arq:in-progress:{job_id}")
    return job_id


async def parked(ground: Ground) -> str:
    """A change of state that waits for the one before it."""
    await ground.store_meeting("RECORDING", sequence=1)
    job_id = await ground.ask_for(ground.change(3, MeetingState.STOPPED))
    await ground.sql(
        "UPDATE outbox SET state = 'parked', awaits = 'sequence', missing = 'state change 1', parked_at = now(),"
        " due_at = now() + interval '15 min'"
    )
    return job_id


async def with_result(ground: Ground, success: bool, result: object) -> str:
    """What Redis keeps of an end, and nothing else."""
    now_ms = int(time.time() * 1000)
    message = {
        "t": 1, "f": "ingest_segments", "a": [], "k": {}, "et": now_ms, "s": success, "r": result, "st": now_ms,
        "ft": now_ms, "q": "arq:queue", "id": "job-1",
    }  # fmt: skip
    await ground.redis.set("arq:result:job-1", serialize(message))
    return "job-1"
