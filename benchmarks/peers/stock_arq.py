"""Stock Arq: as it comes (10 jobs, a poll each 0.5 s), or tuned (as many jobs as the others, a poll each 10 ms)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

from arq.connections import RedisSettings, create_pool
from arq.worker import Worker

from benchmarks.peers.arq_wire import ArqProducer, arq_function
from benchmarks.peers.protocol import FUNCTIONS, Config, Producer
from benchmarks.peers.run import run
from benchmarks.peers.work import Work

DEFAULT_MAX_JOBS = 10


class StockArq:
    """Arq as published."""

    async def work(self, config: Config, work: Work) -> None:
        """Run Arq's worker."""
        stack = AsyncExitStack()

        async def on_startup(_ctx: dict[str, Any]) -> None:
            await stack.enter_async_context(work.opened())

        hooks: dict[str, Any] = {"on_startup": on_startup}  # Arq's own types do not admit a plain function
        worker = Worker(
            functions=[arq_function(name, getattr(work, name)) for name in FUNCTIONS],
            redis_settings=RedisSettings.from_dsn(config.redis_url),
            max_jobs=config.max_jobs if config.tuned else min(config.max_jobs, DEFAULT_MAX_JOBS),
            poll_delay=0.01 if config.tuned else 0.5,
            **hooks,
        )
        await worker.async_run()

    @asynccontextmanager
    async def producer(self, config: Config) -> AsyncIterator[Producer]:
        """Arq's pool."""
        redis = await create_pool(RedisSettings.from_dsn(config.redis_url))
        try:
            yield ArqProducer(redis, None)
        finally:
            await redis.aclose()


if __name__ == "__main__":
    run(StockArq())
