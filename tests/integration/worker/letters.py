"""Dead letters for tests."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noteflow.infrastructure.queue.cutting import jobs_of, payload_of
from worker.engine.dead_letters import DeadLetters
from worker.engine.verdicts import AttemptError

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from noteflow.domain.commands import Command


async def bury(redis: Redis, command: Command, job_id: str | None = None, *, reason: str = "refused: because") -> str:
    """Make a dead letter of a command's job as a worker does, and leave nothing else of it."""
    job = jobs_of(command, job_id)[0]
    await redis.set(f"arq:job:{job.job_id}", payload_of(job, 1_700_000_000_000))
    await DeadLetters(redis).bury_copy(
        job.job_id,
        queue="arq:queue",
        function=command.function,
        reason=reason,
        attempts=[AttemptError("builtins.KeyError", "a key", 1_700_000_000_500, 1)],
        tries=2,
        worker="w1",
        enqueued_ms=1_700_000_000_000,
    )
    await redis.delete(f"arq:job:{job.job_id}")
    return job.job_id
