"""Redis is lost, and the address leads to its replica: late, first read-only, then promoted. Nobody does anything."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from tests.acceptance.burning import producer_for
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.embedded.server import free_port

if TYPE_CHECKING:
    from tests.acceptance.conftest import StartWorkers
    from tests.acceptance.fleet import WorkerProcess
    from tests.conftest import OwnRedis
    from worker.embedded import EmbeddedRedis

BATCHES = 100
MEETINGS = 4
WITHIN_S = 60.0
NOBODY = 1
"""A port without a server. Who is told to follow it keeps what it has, and stays a replica."""


@pytest.fixture
def replication_port() -> int:
    """Where the primary can be followed."""
    return free_port()


@pytest.fixture
def primary(own_redis: OwnRedis, replication_port: int) -> EmbeddedRedis:
    """A Redis that is followed."""
    return own_redis(settings={"port": replication_port})


@pytest.fixture
async def replica(own_redis: OwnRedis, replication_port: int, primary: EmbeddedRedis) -> EmbeddedRedis:
    """Its replica, in step."""
    server = own_redis()
    await tell(server, "REPLICAOF", "127.0.0.1", replication_port)
    await eventually(lambda: says(server, "replication", "master_link_status:up"), within_s=30)
    return server


@pytest.mark.slow
async def test_a_lagging_replica_that_is_found_read_only_and_then_promoted_loses_nothing(
    primary: EmbeddedRedis, replica: EmbeddedRedis, database_url: str, start_workers: StartWorkers
) -> None:
    producer = await producer_for(database_url, MEETINGS)
    async with Proxy(primary.url()) as address:
        workers = await start_workers(database_url, address.url, number=2)
        producing = asyncio.create_task(producer.produce(BATCHES, pause_s=0.01))
        await eventually(lambda: producer.has_applied(50), within_s=30)
        await tell(replica, "REPLICAOF", "127.0.0.1", NOBODY)
        await eventually(lambda: producer.has_applied(150), within_s=30)
        await asyncio.to_thread(primary.kill, signal.SIGKILL)
        address.lead_to(replica.url())
        await eventually(lambda: says(replica, "errorstats", "errorstat_READONLY"), within_s=30)
        await tell(replica, "REPLICAOF", "NO", "ONE")
        promoted_at = time.monotonic()
        await producing
        await eventually(producer.is_done, within_s=WITHIN_S, every_s=0.1)
        print(f"all {producer.asked} jobs were applied {time.monotonic() - promoted_at:.1f} s after the promotion")
    await producer.verdict()
    _stayed(workers)


@pytest.mark.slow
async def test_the_old_primary_follows_the_new_one_and_no_connection_stays_with_it(
    primary: EmbeddedRedis, replica: EmbeddedRedis, database_url: str, start_workers: StartWorkers
) -> None:
    producer = await producer_for(database_url, MEETINGS)
    async with Proxy(primary.url()) as address:
        workers = await start_workers(database_url, address.url, number=2)
        producing = asyncio.create_task(producer.produce(BATCHES, pause_s=0.01))
        await eventually(lambda: producer.has_applied(50), within_s=30)
        await tell(replica, "REPLICAOF", "NO", "ONE")
        await tell(primary, "REPLICAOF", "127.0.0.1", NOBODY)
        await eventually(lambda: says(primary, "errorstats", "errorstat_READONLY"), within_s=30)
        address.lead_to(replica.url())
        switched_at = time.monotonic()
        await producing
        await eventually(producer.is_done, within_s=WITHIN_S, every_s=0.1)
        print(f"all {producer.asked} jobs were applied {time.monotonic() - switched_at:.1f} s after the switch")
        await eventually(lambda: says(primary, "clients", "connected_clients:1\r"), within_s=30)
    await producer.verdict()
    _stayed(workers)


async def tell(server: EmbeddedRedis, *command: str | int) -> None:
    async with Redis.from_url(server.url()) as client:
        await client.execute_command(*command)


async def says(server: EmbeddedRedis, section: str, line: str) -> bool:
    """Whether INFO has a line that begins so."""
    async with Redis.from_url(server.url()) as client:
        client.response_callbacks.clear()
        told: bytes = await client.info(section)
    return any(each.startswith(line) for each in told.decode().split("\n"))


def _stayed(workers: list[WorkerProcess]) -> None:
    for worker in workers:
        assert worker.process.poll() is None
        assert len(worker.lines("worker.ready")) == 1
        assert worker.lines("job.dead") == []
