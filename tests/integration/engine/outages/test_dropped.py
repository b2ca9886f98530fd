"""Flows that are dropped without a word, as a firewall does."""

from __future__ import annotations

from arq.connections import ArqRedis

from tests.integration.engine.jobs import put, serving
from tests.integration.engine.outages.conftest import Held, Start, result_of
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis


async def test_silently_dropped_flows_are_given_up(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    async with Proxy(server.url()) as proxy:
        await put(redis, "j", "hold")
        worker = start(held.functions, proxy.url)
        async with serving(worker):
            await eventually(lambda: held.runs == 1)
            proxy.hang()
            held.go_on.set()
            await eventually(lambda: worker.outage.lasts)
            await proxy.heal()
            assert await result_of(redis, "j") == "held"
            await put(redis, "next", "fine")
            assert await result_of(redis, "next") == "fine"
        assert held.runs == 1
        await worker.close()


async def test_an_idle_worker_whose_calls_are_dropped_finds_out_by_itself(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    async with Proxy(server.url()) as proxy:
        worker = start(held.functions, proxy.url)
        async with serving(worker):
            await eventually(lambda: worker.idle)
            proxy.hang()
            await put(redis, "j", "fine")
            await proxy.heal()
            assert await result_of(redis, "j") == "fine"
        await worker.close()
