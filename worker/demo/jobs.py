"""What the demo asks of Redis: how its jobs ended."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from redis.asyncio import Redis

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.codec import deserialize


@dataclass(slots=True)
class Endings:
    """The jobs that ended: the results of those that were done, and the ids of those that failed."""

    done: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    failed: set[str] = field(default_factory=set)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self.done or job_id in self.failed

    def __len__(self) -> int:
        return len(self.done) + len(self.failed)

    async def look_for(self, redis: Redis, job_ids: Collection[str]) -> None:
        """Add those of the jobs that have ended by now."""
        waiting = [job_id for job_id in job_ids if job_id not in self]
        if not waiting:
            return
        dead = await redis.zmscore(keys.DEAD_LETTERS, waiting)
        for job_id, raw, died in zip(waiting, await redis.mget(map(keys.result, waiting)), dead, strict=True):
            ended = deserialize(raw) if raw is not None else None
            if died is not None or (ended is not None and not ended["s"]):
                self.failed.add(job_id)
            elif ended is not None:
                self.done[job_id] = ended["r"]


async def in_progress(redis: Redis, job_ids: Sequence[str]) -> set[str]:
    """Those of the jobs that a worker holds, or held when it died."""
    if not job_ids:
        return set()
    held = await redis.mget([keys.in_progress(job_id) for job_id in job_ids])
    return {job_id for job_id, token in zip(job_ids, held, strict=True) if token is not None}


async def forget(redis: Redis, queue_name: str, job_ids: Collection[str]) -> None:
    """Remove what the jobs and their queue left in Redis."""
    await redis.delete(
        queue_name,
        keys.health_check(queue_name),
        *(key(job_id) for job_id in job_ids for key in (keys.job, keys.in_progress, keys.retry, keys.result)),
    )
