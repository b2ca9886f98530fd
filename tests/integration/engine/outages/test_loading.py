"""A Redis that still reads its files answers every call with -LOADING: it is away, and its workers wait for it."""

from __future__ import annotations

import asyncio
import logging
import secrets
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings
from redis.exceptions import BusyLoadingError
from redis.exceptions import ConnectionError as Gone

from tests.conftest import OwnRedis
from tests.integration.engine.jobs import put, serving
from tests.integration.engine.outages.conftest import Held, Start, result_of, said
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis

SLOWLY: dict[str, str | int] = {"key-load-delay": 20_000, "loading-process-events-interval-bytes": 1024}
KEYS = 1_000  # 20 s of loading, unless the test hurries it


@pytest.fixture
def server(own_redis: OwnRedis) -> EmbeddedRedis:
    return own_redis(settings=SLOWLY)


class Loading:
    """A restart of the server that lasts until the test has seen enough."""

    def __init__(self, server: EmbeddedRedis, redis: Any) -> None:
        self._server = server
        self._redis = redis
        self._starting: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Keep what there is and much else, kill the server, and let it load that."""
        await self._redis.mset({f"filler:{number}": secrets.token_hex(100) for number in range(KEYS)})
        await self._redis.save()
        await asyncio.to_thread(self._server.stop, "immediate")
        self._starting = asyncio.create_task(asyncio.to_thread(self._server.start))
        await eventually(self._lasts)

    async def _lasts(self) -> bool:
        try:
            await self._redis.ping()
        except Gone as error:
            return isinstance(error, BusyLoadingError)
        raise AssertionError("it has loaded already")

    async def end(self) -> None:
        """Let it load the rest at once."""
        await self._redis.config_set("key-load-delay", 0)
        assert self._starting is not None
        await self._starting


async def test_a_server_that_comes_back_loading_is_waited_for(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    await put(redis, "j", "hold")
    worker = start(held.functions)
    loading = Loading(server, redis)
    async with serving(worker):
        await eventually(lambda: held.runs == 1)
        await loading.begin()
        await eventually(lambda: "BusyLoadingError" in worker.outage.last_error)
        assert [excuse.partition(":")[0] for excuse in worker.health.excuses] == ["redis is away"]
        held.go_on.set()
        await eventually(lambda: worker.jobs_complete == 1)
        await loading.end()
        assert await result_of(redis, "j") == "held"
        await put(redis, "next", "fine")
        assert await result_of(redis, "next") == "fine"
        await eventually(lambda: worker.health.excuses == [])
    assert held.runs == 1
    assert said(caplog) == (1, 1)


@pytest.mark.parametrize("own_pool", [True, False], ids=["pool", "settings"])
async def test_a_worker_that_starts_while_its_server_loads_waits_for_it(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, caplog: pytest.LogCaptureFixture, own_pool: bool
) -> None:
    await put(redis, "j", "fine")
    loading = Loading(server, redis)
    await loading.begin()
    worker = start(held.functions, settings=None if own_pool else RedisSettings.from_dsn(server.url()))
    async with serving(worker):
        await eventually(lambda: "BusyLoadingError" in worker.outage.last_error)
        assert [excuse.partition(":")[0] for excuse in worker.health.excuses] == ["redis is away"]
        await loading.end()
        assert await result_of(redis, "j") == "fine"
        await eventually(lambda: worker.health.excuses == [])
    assert said(caplog) == (1, 1)
    assert [
        record for record in caplog.records if record.levelno >= logging.WARNING and record.name != "worker.engine"
    ] == []
