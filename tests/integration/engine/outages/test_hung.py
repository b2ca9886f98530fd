"""A Redis that takes connections and does not answer: nothing of a worker waits for it for ever."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.worker import func

from tests.integration.engine.jobs import Ctx, now_ms, put, serving
from tests.integration.engine.outages.conftest import PATIENCE, Held, Start, result_of, said
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis
from worker.engine import Worker


@contextmanager
def hung(server: EmbeddedRedis) -> Iterator[None]:
    server.kill(signal.SIGSTOP)
    try:
        yield
    finally:
        server.kill(signal.SIGCONT)


async def test_a_worker_that_starts_on_a_hung_server_says_so_and_begins_when_it_answers(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    await put(redis, "j", "fine")
    worker = start(held.functions, settings=RedisSettings(unix_socket_path=str(server.socket)))
    with hung(server):
        main = asyncio.create_task(worker.main())
        await eventually(lambda: worker.outage.lasts)
        assert worker.health.excuses
    assert await result_of(redis, "j") == "fine"
    assert said(caplog) == (1, 1)
    main.cancel()
    await asyncio.wait([main])


async def test_a_worker_whose_first_connection_is_dropped_without_a_word_makes_another(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    await put(redis, "j", "fine")
    async with Proxy(server.url()) as proxy:
        proxy.hang()
        worker = start(held.functions, settings=RedisSettings.from_dsn(proxy.url))
        async with serving(worker):
            await eventually(lambda: worker.outage.lasts)
            await proxy.heal()
            assert await result_of(redis, "j") == "fine"
        await worker.close()


@pytest.mark.parametrize("given", ["pool", "settings"])
async def test_a_worker_is_stopped_although_its_server_hangs(
    server: EmbeddedRedis, start: Start, held: Held, given: str
) -> None:
    settings = RedisSettings(unix_socket_path=str(server.socket)) if given == "settings" else None
    worker = start(held.functions, settings=settings)
    async with serving(worker):
        await eventually(lambda: worker.idle)
    with hung(server):
        await asyncio.wait_for(worker.close(), 8)


async def test_an_abort_is_seen_although_an_earlier_look_for_one_was_swallowed(
    server: EmbeddedRedis, redis: ArqRedis
) -> None:
    async def endless(ctx: Ctx) -> None:
        await asyncio.Event().wait()

    async with Proxy(server.url()) as proxy:
        worker = Worker(
            [func(endless, name="endless")],
            redis_pool=ArqRedis.from_url(proxy.url),
            options=PATIENCE,
            handle_signals=False,
            allow_abort_jobs=True,
        )
        async with serving(worker):
            await put(redis, "j", "endless")
            await eventually(lambda: worker.job_counter == 1)
            swallowed = proxy.on(b"arq:abort", "hang")
            await eventually(lambda: swallowed.done)
            await redis.zadd("arq:abort", {"j": now_ms()})
            await eventually(lambda: worker.jobs_failed == 1)
        await worker.close()
