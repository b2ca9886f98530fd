"""taskiq on Redis, as taskiq-redis' documentation sets it up: streams, which acknowledge, and results that expire."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from taskiq.api import run_receiver_task
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

from benchmarks.peers.protocol import Arguments, Config, Producer
from benchmarks.peers.run import run
from benchmarks.peers.work import Work

_AT_ONCE = 20
_KEEP_RESULT_S = 3600


class Taskiq:
    """taskiq with its stream broker."""

    async def work(self, config: Config, work: Work) -> None:
        """Run taskiq's receiver."""
        broker = _broker(config)
        _register(broker, work)
        broker.is_worker_process = True
        await broker.startup()
        async with work.opened():
            await run_receiver_task(broker, max_async_tasks=config.max_jobs)

    @asynccontextmanager
    async def producer(self, config: Config) -> AsyncIterator[Producer]:
        """taskiq's broker."""
        broker = _broker(config)
        tasks = _register(broker, Work(config))
        await broker.startup()
        try:
            yield TaskiqProducer(tasks)
        finally:
            await broker.shutdown()


class TaskiqProducer:
    """taskiq knows no bulk."""

    def __init__(self, tasks: dict[str, Any]) -> None:
        self._tasks = tasks

    async def one(self, function: str, arguments: Arguments) -> None:
        """Enqueue one job."""
        await self._tasks[function].kiq(**arguments)

    async def many(self, function: str, jobs: Sequence[Arguments]) -> None:
        """Enqueue jobs side by side."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def enqueue(arguments: Arguments) -> None:
            async with places:
                await self._tasks[function].kiq(**arguments)

        await asyncio.gather(*map(enqueue, jobs))

    async def fill(self, function: str, jobs: Sequence[Arguments]) -> None:
        """As `many`."""
        await self.many(function, jobs)


def _register(broker: Any, work: Work) -> dict[str, Any]:
    # taskiq writes into what it is given, which a bound method does not allow, and reads its annotations.
    async def noop(index: int) -> None:
        await work.noop(index)

    async def nap(index: int) -> None:
        await work.nap(index)

    async def ingest(meeting_id: str, segments: list[dict[str, Any]]) -> None:
        await work.ingest(meeting_id, segments)

    return {job.__name__: broker.register_task(job, task_name=job.__name__) for job in (noop, nap, ingest)}


def _broker(config: Config) -> Any:
    results: Any = RedisAsyncResultBackend(redis_url=config.redis_url, result_ex_time=_KEEP_RESULT_S)
    return RedisStreamBroker(url=config.redis_url).with_result_backend(results)


if __name__ == "__main__":
    run(Taskiq())
