"""A burst and a connection that is lost, once or for good."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Literal

import pytest
from arq.connections import ArqRedis
from arq.worker import func
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from tests.integration.engine.jobs import Ctx, put
from tests.proxy import Proxy
from worker.engine import Options, Worker


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url) as proxy:
        yield proxy


@pytest.fixture
async def tries() -> list[int]:
    return []


@pytest.fixture
async def worker(proxy: Proxy, tries: list[int]) -> AsyncIterator[Worker]:
    async def note(ctx: Ctx) -> None:
        tries.append(ctx["job_try"])

    pool = ArqRedis.from_url(proxy.url)
    worker = Worker(
        [func(note, name="note", max_tries=1)],
        redis_pool=pool,
        burst=True,
        handle_signals=False,
        options=Options(lease_s=60),
    )
    yield worker
    await worker.close()


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_burst_whose_claim_is_cut_off_goes_on_and_charges_nobody(
    redis: ArqRedis, proxy: Proxy, worker: Worker, tries: list[int], when: Literal["before", "after"]
) -> None:
    await put(redis, "j", "note")
    cut = proxy.on(b"EVALSHA", "reset", when=when)
    assert await worker.run_check() == 1
    assert cut.done == 1
    assert tries == [1]


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_pool_that_was_told_to_retry_does_and_no_claim_is_made_twice(
    redis: ArqRedis, proxy: Proxy, worker: Worker, tries: list[int], when: Literal["before", "after"]
) -> None:
    settings = {"retry": Retry(NoBackoff(), 3), "retry_on_error": [RedisConnectionError]}
    worker.pool.connection_pool.connection_kwargs.update(settings)
    await worker.pool.connection_pool.disconnect()
    for number in range(3):
        await put(redis, f"j{number}", "note")
    cut = proxy.on(b"EVALSHA", "reset", when=when)
    worker.max_jobs = 2  # the retry takes the third, while the first two are in nobody's hands
    async with asyncio.timeout(20):  # a claim that nobody hands back is held for a minute
        assert await worker.run_check() == 3
    assert cut.done == 1
    assert worker.outage.count == 0
    assert tries == [1, 1, 1]


async def test_a_burst_whose_redis_stays_away_says_so(
    redis: ArqRedis, proxy: Proxy, worker: Worker, tries: list[int]
) -> None:
    await put(redis, "j", "note")
    cut = proxy.on(b"EVALSHA", "reset", nth=None)
    with pytest.raises((RedisConnectionError, OSError)):
        await worker.main()
    assert cut.done >= 2
    assert tries == []
