from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable
from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Gone

from noteflow.infrastructure.queue.closed_connections import closed_connections_told
from tests.conftest import OwnRedis
from tests.endpoints import connect, endpoint_of
from tests.proxy import Proxy


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
async def through(proxy: Proxy) -> AsyncIterator[Redis]:
    async with Redis.from_url(proxy.url, retry=Retry(NoBackoff(), 0)) as client:
        await client.ping()
        proxy.forget()
        yield client


@pytest.fixture
async def direct(redis_url: str) -> AsyncIterator[Redis]:
    async with Redis.from_url(redis_url) as client:
        yield client


async def evaluate(client: Redis, script: str, keys: int, *values: str) -> Any:
    return await cast("Awaitable[Any]", client.eval(script, keys, *values))  # redis-py's type is of both its clients


async def set_both(client: Redis) -> None:
    async with client.pipeline(transaction=True) as pipe:
        pipe.set("a", 1)
        pipe.set("b", 1)
        await pipe.execute()


async def incr_four_times(client: Redis) -> None:
    async with client.pipeline(transaction=False) as pipe:
        for _ in range(4):
            pipe.incr("a")
        await pipe.execute()


async def test_cut_before_exec_nothing_is_done(proxy: Proxy, through: Redis, direct: Redis) -> None:
    rule = proxy.on(b"EXEC", "reset", when="before")
    with pytest.raises(Gone):
        await set_both(through)
    assert rule.done == 1
    assert await direct.exists("a", "b") == 0


async def test_cut_after_exec_all_is_done(proxy: Proxy, through: Redis, direct: Redis) -> None:
    proxy.on(b"EXEC", "reset", when="after")
    with pytest.raises(Gone):
        await set_both(through)
    assert await direct.exists("a", "b") == 2


async def test_cut_after_a_script_it_has_run(proxy: Proxy, through: Redis, direct: Redis) -> None:
    proxy.on(b"EVAL", "reset", when="after")
    with pytest.raises(Gone):
        await evaluate(through, "return redis.call('INCR', KEYS[1])", 1, "counter")
    assert await direct.get("counter") == b"1"


async def test_answers_of_a_pipeline_before_the_cut_one_do_arrive(proxy: Proxy, through: Redis, direct: Redis) -> None:
    rule = proxy.on(b"INCR", "hang", when="after", nth=3)
    waiting = asyncio.create_task(incr_four_times(through))
    await asyncio.wait_for(rule.happened.wait(), 5)
    assert int(await direct.get("a")) >= 3
    assert not waiting.done()
    proxy.reset()
    with pytest.raises(Gone):
        await waiting


async def test_a_hanging_connection_leaves_others_alone(proxy: Proxy, through: Redis, direct: Redis) -> None:
    rule = proxy.on(b"SET", "hang")
    waiting = asyncio.ensure_future(through.set("a", 1))
    await asyncio.wait_for(rule.happened.wait(), 5)
    async with Redis.from_url(proxy.url) as other:
        await other.set("b", 1)
    assert await direct.exists("a") == 0
    assert not waiting.done()
    proxy.reset()
    with pytest.raises(Gone):
        await waiting


async def test_commands_and_round_trips_are_counted(proxy: Proxy, through: Redis) -> None:
    await through.get("a")
    await set_both(through)
    assert proxy.commands == ["GET", "MULTI", "SET", "SET", "EXEC"]
    assert proxy.round_trips == 2
    await evaluate(through, "return #ARGV", 0, *("x" * 1000 for _ in range(1000)))
    assert proxy.commands[5:] == ["EVAL"]
    assert proxy.round_trips == 3


async def test_pushes_of_resp3_are_not_taken_for_answers(proxy: Proxy, direct: Redis) -> None:
    # Spoken by hand: redis-py 5 itself takes a push for an answer.
    reader, writer = await connect(endpoint_of(proxy.url))
    writer.write(b"HELLO 3\r\nCLIENT TRACKING ON BCAST\r\n")
    assert b"+OK" in await reader.readuntil(b"+OK\r\n")
    await direct.set("watched", 1)
    assert await reader.readuntil(b"watched\r\n") == b">2\r\n$10\r\ninvalidate\r\n*1\r\n$7\r\nwatched\r\n"
    rule = proxy.on(b"INCR", "close", when="after")
    writer.write(b"INCR counter\r\n")
    await asyncio.wait_for(rule.happened.wait(), 5)
    assert await direct.get("counter") == b"1"
    assert b":1" not in await reader.read()
    writer.close()
    await writer.wait_closed()


async def test_a_refusing_server_comes_back(proxy: Proxy, through: Redis) -> None:
    await proxy.refuse()
    with pytest.raises((Gone, ConnectionError)), closed_connections_told():
        await through.ping()
    await proxy.heal()
    assert await through.ping()


async def test_a_password_and_tcp_pass_too(own_redis: OwnRedis) -> None:
    server = own_redis(tcp=True)
    async with Proxy(server.url()) as proxy, Redis.from_url(proxy.url) as client:
        assert await client.ping()
    assert proxy.commands[0] == "AUTH"
