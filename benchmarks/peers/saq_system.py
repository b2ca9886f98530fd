"""SAQ, as its documentation sets it up."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from saq import Queue, Worker

from benchmarks.peers.protocol import FUNCTIONS, Arguments, Config, Producer
from benchmarks.peers.run import run
from benchmarks.peers.work import Work


class Saq:
    """Lists and BLMOVE, one connection for each job that may run."""

    async def work(self, config: Config, work: Work) -> None:
        """Run SAQ's worker."""
        stack = AsyncExitStack()

        async def startup(_ctx: dict[str, Any]) -> None:
            await stack.enter_async_context(work.opened())

        functions = [(name, _as_saq_wants(name, work)) for name in FUNCTIONS]
        queue = Queue.from_url(config.redis_url)
        await Worker(queue, functions, concurrency=config.max_jobs, startup=startup).start()

    @asynccontextmanager
    async def producer(self, config: Config) -> AsyncIterator[Producer]:
        """SAQ's queue."""
        queue = Queue.from_url(config.redis_url)
        try:
            yield SaqProducer(queue)
        finally:
            await queue.disconnect()


class SaqProducer:
    """SAQ knows no bulk; its queue itself lets 20 calls through at once."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    async def one(self, function: str, arguments: Arguments) -> None:
        """Enqueue one job."""
        await self._queue.enqueue(function, **arguments)

    async def many(self, function: str, jobs: Sequence[Arguments]) -> None:
        """Enqueue jobs side by side."""
        await asyncio.gather(*(self._queue.enqueue(function, **arguments) for arguments in jobs))

    async def fill(self, function: str, jobs: Sequence[Arguments]) -> None:
        """As `many`."""
        await self.many(function, jobs)


def _as_saq_wants(name: str, work: Work) -> Any:
    job = getattr(work, name)

    async def function(_ctx: dict[str, Any], **arguments: Any) -> None:
        await job(**arguments)

    return function


if __name__ == "__main__":
    run(Saq())
