"""Claims whose answer nobody gets: what they took is handed back at once, and counts as nobody's death."""

from __future__ import annotations

import asyncio
import math
import signal

import pytest
from arq.connections import ArqRedis

from tests.integration.engine.jobs import QUEUE, put, put_many, serving
from tests.integration.engine.outages.conftest import Held, Start
from tests.proxy import Proxy, When
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis
from worker.engine import Worker


def claim_of(worker: Worker) -> bytes:
    """What only its claims say while it holds nothing: the beginning of a token."""
    return f"{worker.worker_id}:1".encode()


async def warmed_up(redis: ArqRedis, worker: Worker) -> None:
    """The server knows the scripts, and the worker rests."""
    await put(redis, "warm", "fine")
    await eventually(lambda: worker.jobs_complete == 1 and worker.waits)


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_claim_that_was_cut_off_holds_nothing_up(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, when: When
) -> None:
    async with Proxy(server.url()) as proxy:
        worker = start(held.functions, proxy.url)
        async with serving(worker):
            await warmed_up(redis, worker)
            cut = proxy.on(claim_of(worker), "reset", when=when)
            await put_many(redis, 5, "fine")
            # Long before the lease ends, after which others would count it as a death.
            await eventually(lambda: worker.jobs_complete == 6, within_s=5)
            assert cut.done == 1
            assert worker.jobs_retried == 0
        await worker.close()
    assert await redis.keys("arq:crashes:*") == []


async def test_what_a_claim_took_for_a_worker_that_was_stopped_meanwhile_is_handed_back(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    async with Proxy(server.url()) as proxy:
        worker = start(held.functions, proxy.url)
        main = asyncio.create_task(worker.async_run())
        await warmed_up(redis, worker)
        slow = proxy.on(claim_of(worker), "delay", delay_s=0.2)
        await put_many(redis, 5, "fine")
        await slow.happened.wait()
        worker.handle_sig(signal.SIGTERM)
        await asyncio.gather(main, return_exceptions=True)
        await worker.close()
    assert worker.jobs_complete == 1
    assert await redis.keys("arq:in-progress:*") == []
    scores = await redis.zrange(QUEUE, 0, -1, withscores=True)
    assert len(scores) == 5
    assert all(score == math.floor(score) for _, score in scores), "they are parked under a lease"
