"""A primary behind Sentinel: a failover is an outage like any other, and the worker follows to the new primary."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings
from redis.asyncio import Redis
from redis.exceptions import ConnectionError as Gone

from tests.conftest import OwnRedis
from tests.integration.engine.jobs import put, serving
from tests.integration.engine.outages.conftest import Held, Start, result_of, said
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis, Places
from worker.embedded.binaries import REDIS, usable

NAME = "noteflow"


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Sentinel:
    """One sentinel that watches a primary, and decides alone."""

    def __init__(self, folder: Path, primary_port: int) -> None:
        self.port = free_port()
        self._settings = folder / "sentinel.conf"
        self._settings.write_text(
            f"port {self.port}\nbind 127.0.0.1\ndir {folder}\n"
            f"sentinel monitor {NAME} 127.0.0.1 {primary_port} 1\n"
            f"sentinel down-after-milliseconds {NAME} 300\nsentinel failover-timeout {NAME} 2000\n"
        )

    async def __aenter__(self) -> Sentinel:
        binary = next(iter(usable(REDIS, Places())))
        self._process = await asyncio.create_subprocess_exec(
            binary.executable, self._settings, "--sentinel", stdout=asyncio.subprocess.DEVNULL
        )
        self._client: Any = Redis(host="127.0.0.1", port=self.port, decode_responses=True)
        try:
            await eventually(self._knows_a_replica)
        except BaseException:
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        self._process.kill()
        await self._process.wait()

    async def _knows_a_replica(self) -> bool:
        try:
            [primary] = (await self._client.sentinel_masters()).values()
        except Gone:
            return False
        return int(primary["num-slaves"]) == 1

    async def knows_another(self, port: int) -> bool:
        return int((await self._client.sentinel_get_master_addr_by_name(NAME))[1]) != port


@pytest.fixture
def primary_port() -> int:
    return free_port()


@pytest.fixture
def server(own_redis: OwnRedis, primary_port: int) -> EmbeddedRedis:
    return own_redis(settings={"port": primary_port, "repl-diskless-sync-delay": 0})


@pytest.fixture
async def replica(own_redis: OwnRedis, server: EmbeddedRedis, primary_port: int) -> AsyncIterator[ArqRedis]:
    settings: dict[str, str | int] = {"port": free_port(), "replicaof": f"127.0.0.1 {primary_port}"}
    pool = ArqRedis.from_url(own_redis(settings=settings).url())
    await eventually(lambda: _is_in_step(pool))
    yield pool
    await pool.aclose(close_connection_pool=True)


async def _is_in_step(replica: ArqRedis) -> bool:
    return bool((await replica.info("replication"))["master_link_status"] == "up")


async def test_after_a_failover_results_are_recorded_and_jobs_claimed_at_the_new_primary(
    server: EmbeddedRedis,
    primary_port: int,
    redis: ArqRedis,
    start: Start,
    replica: ArqRedis,
    held: Held,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with Sentinel(tmp_path, primary_port) as sentinel:
        settings = RedisSettings(host=[("127.0.0.1", sentinel.port)], sentinel=True, sentinel_master=NAME)
        worker = start(held.functions, settings=settings)
        async with serving(worker):
            await put(redis, "j", "hold")
            await eventually(lambda: held.runs == 1)
            await eventually(lambda: replica.exists("arq:in-progress:j"))
            await asyncio.to_thread(server.stop, "immediate")
            held.go_on.set()
            await eventually(lambda: sentinel.knows_another(primary_port), within_s=30)
            # The sentinel has cut the replica's clients off, ours too.
            await replica.connection_pool.disconnect()
            assert await result_of(replica, "j") == "held"
            await put(replica, "next", "fine")
            assert await result_of(replica, "next") == "fine"
            await eventually(lambda: worker.health.excuses == [])
            rounds = worker.leases.rounds
            worker.leases.renew_soon()
            await eventually(lambda: worker.leases.rounds > rounds)
        await worker.close()  # before its server is gone
    assert held.runs == 1
    away, back = said(caplog)
    assert 1 <= away == back
