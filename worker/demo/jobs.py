"""How the demo's jobs end: in the ledger with their effect, and then in Redis, where nothing may be left of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field

from redis.asyncio import Redis

from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue import keys
from worker.demo.records import Entry, Records


@dataclass(slots=True)
class Endings:
    """The jobs that ended, and the ledger's word on those that were done."""

    ledger: dict[str, Entry] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    dead: set[str] = field(default_factory=set)

    def __contains__(self, job_id: object) -> bool:
        return job_id in self.done or job_id in self.dead

    def __len__(self) -> int:
        return len(self.done) + len(self.dead)

    async def look(
        self, redis: Redis, records: Records, meetings: Sequence[MeetingId], job_ids: Collection[str]
    ) -> None:
        """Add those of the jobs that have ended by now.

        Done is what is committed *and* acknowledged: a worker that dies between the two leaves a job that
        another worker takes up, and must find done.
        """
        waiting = [job_id for job_id in job_ids if job_id not in self]
        if not waiting:
            return
        self.ledger = await records.ledger(meetings)
        buried = await redis.zmscore(keys.DEAD_LETTERS, waiting)
        gone = await records.dead(meetings)
        async with redis.pipeline(transaction=False) as pipe:
            for job_id in waiting:
                pipe.exists(keys.job(job_id))
            bodies = await pipe.execute()
        for job_id, died_ms, has_body in zip(waiting, buried, bodies, strict=True):
            if died_ms is not None or job_id in gone:
                self.dead.add(job_id)
            elif job_id in self.ledger and not has_body:
                self.done.add(job_id)


async def held_by(redis: Redis, pid: int, job_ids: Sequence[str]) -> set[str]:
    """Those of the jobs whose lease names the worker process `pid`, dead or alive."""
    if not job_ids:
        return set()
    owner = f":{pid}:".encode()
    tokens = await redis.mget([keys.in_progress(job_id) for job_id in job_ids])
    return {job_id for job_id, token in zip(job_ids, tokens, strict=True) if token is not None and owner in token}


async def forget(redis: Redis, queue_name: str, job_ids: Collection[str]) -> None:
    """Remove what the jobs and their queue left in Redis."""
    of_a_job = (
        keys.job, keys.in_progress, keys.retry, keys.result, keys.errors, keys.crashes, keys.handed_back,
        keys.dead_letter,
    )  # fmt: skip
    await redis.delete(
        queue_name, keys.health_check(queue_name), *(key(job_id) for job_id in job_ids for key in of_a_job)
    )
    if job_ids:
        await redis.zrem(keys.DEAD_LETTERS, *job_ids)
