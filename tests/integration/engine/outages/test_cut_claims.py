"""Claims whose answer nobody gets: what they took is handed back at once, and counts as nobody's death."""

from __future__ import annotations

import asyncio
import math
import signal
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as Gone

from tests.integration.engine.jobs import QUEUE, now_ms, put, put_many, serving
from tests.integration.engine.outages.conftest import Held, Start
from tests.proxy import Proxy, When
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis
from worker.engine import AttemptError, Worker
from worker.engine.asking import Asked
from worker.engine.claims import Claim, GiveBack, Status


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


async def test_what_was_taken_for_a_worker_that_was_stopped_as_it_was_told_is_handed_back(
    redis: ArqRedis, start: Start, held: Held, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start(held.functions)
    main = asyncio.create_task(worker.async_run())
    await warmed_up(redis, worker)
    accept = worker.link._asking.accept

    def accept_and_stop(asked: Asked, answer: Any) -> None:
        accept(asked, answer)
        worker.handle_sig(signal.SIGTERM)

    monkeypatch.setattr(worker.link._asking, "accept", accept_and_stop)
    await put_many(redis, 5, "fine")
    await asyncio.wait([main])
    await worker.close()
    assert await redis.keys("arq:in-progress:*") == []
    assert await redis.zcount(QUEUE, "-inf", now_ms()) == 5


async def test_a_claim_that_was_cut_off_is_handed_back_although_thousands_of_jobs_are_due_soon(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    async with Proxy(server.url()) as proxy:
        worker = start(held.functions, proxy.url)
        async with serving(worker):
            await warmed_up(redis, worker)
            soon = now_ms() + 9_000
            await redis.zadd(QUEUE, {f"later{number}": soon for number in range(30_000)})
            cut = proxy.on(claim_of(worker), "reset", when="after")
            await put_many(redis, 5, "fine")
            await eventually(lambda: worker.jobs_complete == 6, within_s=5)
            assert cut.done == 1
        await worker.close()


async def test_no_retry_of_the_clients_makes_a_claim_twice(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    async with Proxy(server.url()) as proxy:
        settings = RedisSettings.from_dsn(proxy.url)
        settings.retry, settings.retry_on_error = Retry(NoBackoff(), 3), [Gone]
        worker = start(held.functions, settings=settings)
        async with serving(worker):
            await warmed_up(redis, worker)
            cut = proxy.on(claim_of(worker), "reset", when="after")
            await put_many(redis, 200, "fine")
            await eventually(lambda: worker.jobs_complete == 201, within_s=5)
            assert cut.done == 1
        await worker.close()


async def test_a_claim_goes_with_the_next_call_if_the_endings_beside_it_cannot_be_written(
    redis: ArqRedis, start: Start, held: Held
) -> None:
    worker = start(held.functions)
    async with serving(worker):
        await warmed_up(redis, worker)
        claim = Claim(b"x", "x", 1, 0, b"", 1, 0, False, False, "token")
        unwritable = GiveBack(claim, errors=(AttemptError("Error", "\ud800"),))
        worker.link.settle(unwritable)
        await asyncio.wait_for(worker.claim(1), 5)
        assert await unwritable.wait() is Status.UNSENT
        await put(redis, "j", "fine")
        await eventually(lambda: worker.jobs_complete == 2)
