"""The relay while Redis is away, and while PostgreSQL is in doubt."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING
from uuid import uuid4

from redis.asyncio import Redis
from structlog.testing import capture_logs

from noteflow.infrastructure.persistence.engine import create_engine
from tests.integration.worker.relays import relaying
from tests.integration.worker.stage import batch
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.logs import logger
from worker.outbox import Relay

if TYPE_CHECKING:
    from tests.integration.worker.stage import Stage


LISTENING = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'"


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


async def test_while_postgresql_is_in_doubt_it_neither_listens_nor_gives_up_a_parked_job(
    stage: Stage, redis: Redis
) -> None:
    """What the job waits for may wait itself, for workers that claim nothing."""
    asked, goes_on = asyncio.Event(), asyncio.Event()

    async def answered() -> None:
        asked.set()
        await goes_on.wait()

    assert (await stage.patient_for(0).deliver(batch(uuid4(), 0))).startswith("parked: ")
    relay = asyncio.create_task(Relay(stage.engine, redis, logger(), answered=answered).run())
    try:
        await asyncio.wait_for(asked.wait(), 30)
        assert not await stage.judge.ask(LISTENING)
        assert list((await stage.outbox()).values()) == ["parked"]
        goes_on.set()
        await eventually(stage.letters)
    finally:
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)
