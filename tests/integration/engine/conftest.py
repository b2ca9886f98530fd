"""Workers, Arq's and ours, on a real Redis, and closed at the end of each test."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

import arq.worker
import pytest
from arq.connections import ArqRedis, RedisSettings

from worker.engine import DeadLetters, Options, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

STOCK, OURS = "arq", "ours"


class MakeWorker(Protocol):
    """Makes one of our workers, in burst mode unless told otherwise, on the test's Redis.

    It reads pickles unless told otherwise, since `redis` writes them.
    """

    def __call__(
        self, functions: Any = (), *, options: Options | None = None, allow_pickle: bool = True, **arguments: Any
    ) -> Worker: ...


class MakeEither(Protocol):
    """Makes a worker of the kind under test: Arq's own, or ours."""

    def __call__(self, functions: Any = (), **arguments: Any) -> arq.worker.Worker: ...


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ArqRedis]:
    """A stock Arq pool, pickling as it does by default."""
    pool = ArqRedis.from_url(redis_url)
    yield pool
    await pool.aclose(close_connection_pool=True)


@pytest.fixture
def redis_settings(redis_url: str) -> RedisSettings:
    """What a worker needs that is to open its pool by itself."""
    return RedisSettings.from_dsn(redis_url)


@pytest.fixture
def letters(redis: ArqRedis) -> DeadLetters:
    return DeadLetters(redis)


@pytest.fixture
async def make_worker(redis_url: str) -> AsyncIterator[MakeWorker]:
    made: list[Worker] = []

    def make(
        functions: Any = (), *, options: Options | None = None, allow_pickle: bool = True, **arguments: Any
    ) -> Worker:
        defaults: dict[str, Any] = {"burst": True, "poll_delay": 0.01, "handle_signals": False}
        pool = ArqRedis.from_url(redis_url)
        told = replace(options or Options(), allow_pickle=allow_pickle)
        made.append(Worker(functions, redis_pool=pool, options=told, **{**defaults, **arguments}))
        return made[-1]

    yield make
    for worker in made:
        await worker.close()


@pytest.fixture(params=[STOCK, OURS])
async def either(request: pytest.FixtureRequest, redis_url: str) -> AsyncIterator[MakeEither]:
    made: list[arq.worker.Worker] = []
    kind = arq.worker.Worker if request.param == STOCK else partial(Worker, options=Options(allow_pickle=True))

    def make(functions: Any = (), **arguments: Any) -> arq.worker.Worker:
        defaults: dict[str, Any] = {"burst": True, "poll_delay": 0, "max_jobs": 10}
        if "redis_settings" not in arguments:
            defaults["redis_pool"] = ArqRedis.from_url(redis_url)
        made.append(kind(functions, **{**defaults, **arguments}))
        return made[-1]

    yield make
    for worker in made:
        # Arq's own worker raises from here what its jobs were cancelled with.
        with suppress(BaseException):
            await worker.close()


@pytest.fixture
async def stock(redis_url: str) -> AsyncIterator[MakeEither]:
    """Makes Arq's own workers, in burst mode."""
    made: list[arq.worker.Worker] = []

    def make(functions: Any = (), **arguments: Any) -> arq.worker.Worker:
        pool = ArqRedis.from_url(redis_url)
        made.append(arq.worker.Worker(functions, redis_pool=pool, burst=True, poll_delay=0.01, **arguments))
        return made[-1]

    yield make
    for worker in made:
        await worker.close()
