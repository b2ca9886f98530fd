"""The address leads to another server by now, and the old one lives on."""

from __future__ import annotations

from dataclasses import replace

from arq.connections import ArqRedis

from tests.conftest import OwnRedis
from tests.integration.engine.jobs import put, serving
from tests.integration.engine.outages.conftest import PATIENCE, Held, Start, result_of
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis
from worker.engine import Gate


async def test_a_server_that_was_replaced_is_left_although_it_lives_on(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, own_redis: OwnRedis
) -> None:
    other = own_redis()
    async with Proxy(server.url()) as address, ArqRedis.from_url(other.url()) as successor:
        worker = start(held.functions, address.url, replace(PATIENCE, beat_s=0.3))
        async with serving(worker):
            await put(redis, "j", "fine")
            assert await result_of(redis, "j") == "fine"
            await redis.replicaof("127.0.0.1", "1")
            await eventually(lambda: worker.outage.lasts)
            address.lead_to(other.url())
            await put(successor, "j", "fine")
            assert await result_of(successor, "j") == "fine"
            await eventually(lambda: only_client(redis))
            await put(successor, "next", "fine")
            assert await result_of(successor, "next") == "fine"
        await worker.close()


async def test_an_ending_leaves_a_server_that_was_replaced_also_while_nothing_is_claimed(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, own_redis: OwnRedis
) -> None:
    other = own_redis()
    async with Proxy(server.url()) as address:
        await put(redis, "j", "hold")
        worker = start(held.functions, address.url, replace(PATIENCE, beat_s=0.3, gate=Gate()))
        async with serving(worker):
            await eventually(lambda: held.runs == 1)
            worker.options.gate.close("postgresql")
            await redis.replicaof("127.0.0.1", "1")
            address.lead_to(other.url())
            held.go_on.set()
            await eventually(lambda: worker.jobs_complete == 1 and not worker.outage.lasts)
            await eventually(lambda: only_client(redis))
            worker.options.gate.open("postgresql")
        await worker.close()


async def only_client(redis: ArqRedis) -> bool:
    return len(await redis.client_list(_type="normal")) == 1
