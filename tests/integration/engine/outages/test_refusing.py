"""A Redis that answers and refuses: full, or read-only."""

from __future__ import annotations

import pytest
from arq.connections import ArqRedis

from tests.integration.engine.jobs import put, put_many, serving
from tests.integration.engine.outages.conftest import Held, Start, result_of
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis


async def test_a_full_server_loses_no_ending(server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held) -> None:
    await put(redis, "j", "hold")
    worker = start(held.functions)
    async with serving(worker):
        await eventually(lambda: held.runs == 1)
        await redis.config_set("maxmemory", "1")
        held.go_on.set()
        await eventually(lambda: worker.jobs_complete == 1)
        # An ending makes room, so it is accepted; a worker on a full server must be able to empty it.
        await eventually(lambda: redis.exists("arq:result:j"))
        await redis.config_set("maxmemory", "0")
        assert await result_of(redis, "j") == "held"
        await put(redis, "next", "fine")
        assert await result_of(redis, "next") == "fine"


async def test_a_full_server_is_emptied_by_its_workers(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    await put_many(redis, 50, "fine")
    await redis.config_set("maxmemory", "1")
    worker = start(held.functions)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 50)
        await eventually(lambda: worker.health.excuses == ["redis is out of memory"])
        await redis.config_set("maxmemory", "0")
        worker.leases._next_beat = 0.0
        worker.leases.renew_soon()
        await eventually(lambda: worker.health.excuses == [])
    assert caplog.text.count("redis is out of memory") == 1


async def test_a_read_only_server_is_waited_for(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    await put(redis, "j", "hold")
    worker = start(held.functions)
    async with serving(worker):
        await eventually(lambda: held.runs == 1)
        await redis.replicaof("127.0.0.1", "1")
        held.go_on.set()
        await eventually(lambda: worker.outage.lasts)
        await redis.replicaof("NO", "ONE")
        assert await result_of(redis, "j") == "held"
        await put(redis, "next", "fine")
        assert await result_of(redis, "next") == "fine"
    assert held.runs == 1
