"""A Redis of the test's own to take away, workers on it, and a job that waits for the test."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Protocol

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.jobs import Job
from arq.worker import func

from noteflow.infrastructure.queue.codec import job_deserializer
from worker.engine import Options, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tests.conftest import OwnRedis
    from tests.integration.engine.jobs import Ctx
    from worker.embedded import EmbeddedRedis

PATIENCE = Options(command_timeout_s=0.5, lease_s=10.0, idle_poll_s=0.2)


class Start(Protocol):
    """Makes one of our workers on the test's own server, or through a proxy, or with settings instead of a pool."""

    def __call__(
        self,
        functions: Any,
        url: str | None = None,
        options: Options = PATIENCE,
        *,
        settings: RedisSettings | None = None,
    ) -> Worker: ...


@pytest.fixture
def server(own_redis: OwnRedis) -> EmbeddedRedis:
    return own_redis(append_only=True, settings={"appendfsync": "always"})


@pytest.fixture
async def redis(server: EmbeddedRedis) -> AsyncIterator[ArqRedis]:
    pool = ArqRedis.from_url(server.url())
    yield pool
    await pool.aclose(close_connection_pool=True)


@pytest.fixture
async def start(server: EmbeddedRedis) -> AsyncIterator[Start]:
    made: list[Worker] = []

    def make(
        functions: Any,
        url: str | None = None,
        options: Options = PATIENCE,
        *,
        settings: RedisSettings | None = None,
    ) -> Worker:
        where: dict[str, Any] = {"redis_settings": settings}
        if settings is None:
            where = {"redis_pool": ArqRedis.from_url(url or server.url())}
        made.append(Worker(functions, **where, options=options, handle_signals=False, poll_delay=0.05))
        return made[-1]

    yield make
    for worker in made:
        await worker.close()


class Held:
    """A job that waits for the test."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.runs = 0

    async def __call__(self, ctx: Ctx) -> str:
        self.runs += 1
        await self.go_on.wait()
        return "held"

    @property
    def functions(self) -> list[Any]:
        async def hold(ctx: Ctx) -> str:
            return await self(ctx)

        async def fine(ctx: Ctx) -> str:
            return "fine"

        return [func(hold, name="hold"), func(fine, name="fine")]


@pytest.fixture
def held() -> Held:
    return Held()


async def result_of(redis: ArqRedis, job_id: str) -> Any:
    return await Job(job_id, redis, _deserializer=job_deserializer).result(timeout=10, poll_delay=0.02)


def said(caplog: pytest.LogCaptureFixture) -> tuple[int, int]:
    return caplog.text.count("redis is away"), caplog.text.count("redis is back")
