"""Our engine. Ingesting, it is the product's own worker, with handlers, executor and unit of work as in production."""

from __future__ import annotations

import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from arq.connections import create_pool
from pydantic import SecretStr

from benchmarks.peers.arq_wire import ArqProducer, arq_function
from benchmarks.peers.protocol import Arguments, Config, Producer
from benchmarks.peers.run import run
from benchmarks.peers.work import Work
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.codec import job_deserializer, job_serializer
from noteflow.infrastructure.queue.wire import command_from
from worker.collecting import spare_what_stays
from worker.delivery import Delivery
from worker.endings import Completed, Ending
from worker.engine import Gate, Options, Worker
from worker.functions import for_our_worker
from worker.main import worker_arguments
from worker.redis_settings import redis_settings
from worker.settings import Settings


class Ours:
    """`worker.engine.Worker`."""

    async def work(self, config: Config, work: Work) -> None:
        """Run the engine, for the queue suite with its bare jobs, else as the product."""
        gate = Gate()
        arguments = _bare(config, work) if config.database_url is None else _product(config, work, gate)
        await Worker(options=Options(gate=gate, log_arguments=False), **arguments).async_run()

    @asynccontextmanager
    async def producer(self, config: Config) -> AsyncIterator[Producer]:
        """Arq's pool for bare jobs, our client for commands."""
        redis = await create_pool(redis_settings(config.redis_url), job_serializer=job_serializer)
        try:
            async with JobClient.from_url(config.redis_url) as client:
                yield OurProducer(redis, client)
        finally:
            await redis.aclose()


class OurProducer(ArqProducer):
    """Bare jobs go through a plain Arq producer, as they may in life; commands through our client."""

    def __init__(self, redis: Any, client: JobClient) -> None:
        super().__init__(redis, job_serializer)
        self._client = client

    async def one(self, function: str, arguments: Arguments) -> None:
        """Enqueue one job. What builds and checks the command counts."""
        if function == "ingest":
            await self._client.enqueue(command_from("ingest_segments", (), arguments))
        else:
            await super().one(function, arguments)

    async def many(self, function: str, jobs: Sequence[Arguments]) -> None:
        """Enqueue jobs, a thousand at once."""
        for start in range(0, len(jobs), 1000):
            together = jobs[start : start + 1000]
            await self._client.enqueue_many([command_from("ingest_segments", (), arguments) for arguments in together])

    async def fill(self, function: str, jobs: Sequence[Arguments]) -> None:
        """Our client for commands, pipelines for bare jobs."""
        await (self.many if function == "ingest" else super().fill)(function, jobs)


def _bare(config: Config, work: Work) -> dict[str, Any]:
    stack = AsyncExitStack()

    async def on_startup(_ctx: dict[str, Any]) -> None:
        await stack.enter_async_context(work.opened())

    return {
        "functions": [arq_function(name, getattr(work, name)) for name in ("noop", "nap")],
        "redis_settings": redis_settings(config.redis_url),
        "max_jobs": config.max_jobs,
        "job_serializer": job_serializer,
        "job_deserializer": job_deserializer,
        "on_startup": on_startup,
    }


def _product(config: Config, work: Work, gate: Gate) -> dict[str, Any]:
    async def noting(ctx: dict[str, Any], delivery: Delivery, ending: Ending) -> Any:
        if isinstance(ending, Completed):
            work.note_ingested(delivery.kwargs["segments"])
        return await for_our_worker(ctx, delivery, ending)

    settings = Settings(
        redis_url=SecretStr(config.redis_url),
        database_url=SecretStr(config.database_url or ""),
        max_jobs=config.max_jobs,
        meetings_dir=Path(tempfile.gettempdir()),
        log_level="WARNING",
    )
    spare_what_stays()
    arguments = worker_arguments(settings, noting, gate)
    start = arguments["on_startup"]

    async def on_startup(ctx: dict[str, Any]) -> None:
        await start(ctx)
        work.say_ready()

    return {**arguments, "on_startup": on_startup}


if __name__ == "__main__":
    run(Ours())
