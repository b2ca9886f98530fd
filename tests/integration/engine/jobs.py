"""Jobs put into Redis by hand, and workers that serve in the background."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from arq.worker import func

from noteflow.infrastructure.queue.codec import Codec, serialize

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from arq.connections import ArqRedis

    from worker.engine import Worker

Ctx = dict[Any, Any]
QUEUE = "arq:queue"


def now_ms() -> int:
    return int(time.time() * 1000)


def body(function: str, *args: Any, codec: Codec = Codec.JSON, **kwargs: Any) -> bytes:
    return serialize({"t": None, "f": function, "a": args, "k": kwargs, "et": now_ms()}, codec)


async def put(
    redis: ArqRedis, job_id: str | bytes, function: str, *args: Any, queue: str = QUEUE, in_ms: int = 0, **kwargs: Any
) -> None:
    """Enqueue a job as our client does: JSON, without an end to its life."""
    key = job_id.encode() if isinstance(job_id, str) else job_id
    await redis.set(b"arq:job:" + key, body(function, *args, **kwargs))
    await redis.zadd(queue, {key: now_ms() + in_ms})


async def put_many(redis: ArqRedis, count: int, function: str, *, queue: str = QUEUE, prefix: str = "j") -> None:
    due = now_ms()
    async with redis.pipeline(transaction=True) as pipe:
        for number in range(count):
            pipe.set(f"arq:job:{prefix}{number}", body(function))
            pipe.zadd(queue, {f"{prefix}{number}": due})
        await pipe.execute()


@asynccontextmanager
async def serving(*workers: Worker) -> AsyncIterator[None]:
    """Let workers serve meanwhile."""
    mains = [asyncio.create_task(worker.main()) for worker in workers]
    try:
        yield
        for main in mains:
            assert not main.done(), "a worker stopped serving"
    finally:
        for main in mains:
            main.cancel()
        await asyncio.gather(*mains, return_exceptions=True)


async def command_counts(redis: ArqRedis) -> dict[str, int]:
    """Return how often each command was called, also from scripts, since the last reset."""
    stats = await redis.info("commandstats")
    return {name.removeprefix("cmdstat_"): int(told["calls"]) for name, told in stats.items()}


def abandon(worker: Worker) -> None:
    """Let a worker forget its runs and write no more heartbeats, as one that was killed does."""
    worker.leases._beat = None
    for claim in worker.leases.held:
        worker.leases.drop(claim)


async def has_no_lease(redis: Any, job_id: str) -> bool:
    """Tell whether nobody holds a job, or its lease has run out."""
    return not await redis.exists(f"arq:in-progress:{job_id}")


class Slow:
    """A function whose jobs last until told to go on; `begun` are the ids of those that did."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.begun: list[str] = []

    @property
    def function(self) -> Any:
        async def slow(ctx: Ctx) -> None:
            self.begun.append(ctx["job_id"])
            await self.go_on.wait()

        return func(slow, name="slow")
