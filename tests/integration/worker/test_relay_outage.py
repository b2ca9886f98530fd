"""The relay while Redis is away."""

from __future__ import annotations

import asyncio

from redis.asyncio import Redis
from structlog.testing import capture_logs

from noteflow.infrastructure.persistence.engine import create_engine
from tests.integration.worker.relays import relaying
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.outbox import Relay


async def test_an_outage_of_redis_is_told_once_and_its_end_once(database_url: str, redis_url: str) -> None:
    engine = create_engine(database_url, pool_size=2)
    tries = asyncio.Semaphore(0)

    class Counted(Relay):
        async def _once(self) -> None:
            tries.release()
            await super()._once()

    async with Proxy(redis_url) as proxy:
        await proxy.refuse()
        async with Redis.from_url(proxy.url) as redis:
            with capture_logs() as lines:
                async with relaying(engine, redis, kind=Counted):
                    for _ in range(3):
                        await tries.acquire()
                    await proxy.heal()
                    await eventually(lambda: any(line["event"] == "outbox.resumed" for line in lines), within_s=30.0)
    await engine.dispose()
    assert [line["event"] for line in lines] == ["outbox.interrupted", "outbox.resumed"]
