"""Ask for jobs, and look for what became of them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.dispatch import Dispatcher
from worker.outbox.dispatching import dispatch_due
from worker.reconcile import Report, examine

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from noteflow.domain.commands import Command
    from tests.integration.worker.stage import Stage


async def ask(stage: Stage, redis: Redis, *commands: Command) -> list[str]:
    """Ask for commands through the outbox, and let the relay give them to Redis."""
    async with stage.unit() as uow:
        job_ids = [job_id for command in commands for job_id in await uow.jobs.enqueue(command)]
        await uow.commit()
    await dispatch_due(stage.engine, Dispatcher(redis))
    return job_ids


async def enqueue(redis: Redis, command: Command, job_id: str | None = None) -> str:
    """Enqueue as a producer does who has no outbox."""
    return (await JobClient(redis).enqueue(command, job_id=job_id)).job_id


async def examined(stage: Stage, redis: Any, **more: Any) -> Report:
    since = datetime.now(UTC) - timedelta(hours=24)
    return await examine(stage.engine, redis, "arq:queue", since=since, **more)


def states(report: Report) -> dict[str, str]:
    return {job.job_id: job.state.value for job in report.jobs}
