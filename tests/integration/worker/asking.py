"""Ask for jobs through the outbox, and see what has reached the queue."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from tests.integration.worker.stage import Stage


async def ask(stage: Stage, *commands: Any) -> list[str]:
    """Ask for commands in one transaction, and commit it; the ids of their jobs."""
    async with stage.unit() as uow:
        job_ids = [job_id for command in commands for job_id in await uow.jobs.enqueue(command)]
        await uow.commit()
    return job_ids


async def queued(redis: Redis) -> list[str]:
    """The jobs in the queue, in the order in which they would be claimed."""
    return [job_id.decode() for job_id in await redis.zrange("arq:queue", 0, -1)]


async def has(redis: Redis, job_id: str) -> bool:
    """Whether a job is in the queue."""
    return await redis.zscore("arq:queue", job_id) is not None
