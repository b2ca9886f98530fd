"""streaQ, as its documentation sets it up."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from streaq import Worker

from benchmarks.peers.protocol import FUNCTIONS, Arguments, Config, Producer
from benchmarks.peers.run import run
from benchmarks.peers.work import Work


class Streaq:
    """Redis streams through coredis."""

    async def work(self, config: Config, work: Work) -> None:
        """Run streaQ's worker."""
        worker: Any = Worker(redis_url=config.redis_url, concurrency=config.max_jobs, lifespan=work.opened)
        for name in FUNCTIONS:
            worker.task(getattr(work, name), name=name)
        await worker.run_async()

    @asynccontextmanager
    async def producer(self, config: Config) -> AsyncIterator[Producer]:
        """streaQ's worker, which enqueues too."""
        worker: Any = Worker(redis_url=config.redis_url)
        async with worker:
            yield StreaqProducer(worker)


class StreaqProducer:
    """One by one, or pipelined by `enqueue_many`."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker

    async def one(self, function: str, arguments: Arguments) -> None:
        """Enqueue one job."""
        await self._worker.enqueue_unsafe(function, **arguments)

    async def many(self, function: str, jobs: Sequence[Arguments]) -> None:
        """Enqueue jobs in pipelines of a thousand."""
        for start in range(0, len(jobs), 1000):
            await self._worker.enqueue_many(
                [self._worker.enqueue_unsafe(function, **arguments) for arguments in jobs[start : start + 1000]]
            )

    async def fill(self, function: str, jobs: Sequence[Arguments]) -> None:
        """As `many`."""
        await self.many(function, jobs)


if __name__ == "__main__":
    run(Streaq())
