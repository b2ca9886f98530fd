"""The relay while Redis is away."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, cast

from redis.exceptions import ConnectionError as RedisConnectionError
from structlog.testing import capture_logs

from noteflow.infrastructure.persistence.engine import create_engine
from tests.waiting import eventually
from worker.logs import logger
from worker.outbox import Relay


class AwayAtFirst:
    """Stands in for a Redis that refuses so many connections, and then has the outbox's mark."""

    def __init__(self, refusals: int) -> None:
        self._refusals = refusals

    async def exists(self, _key: str) -> int:
        self._refusals -= 1
        if self._refusals >= 0:
            raise RedisConnectionError("refused")
        return 1


async def test_an_outage_of_redis_is_told_once_and_its_end_once(database_url: str) -> None:
    engine = create_engine(database_url, pool_size=2)
    with capture_logs() as lines:
        relay = asyncio.create_task(Relay(engine, cast("Any", AwayAtFirst(refusals=3)), logger()).run())
        try:
            await eventually(lambda: any(line["event"] == "outbox.resumed" for line in lines), within_s=30.0)
        finally:
            relay.cancel()
            with suppress(asyncio.CancelledError):
                await relay
            await engine.dispose()
    assert [line["event"] for line in lines] == ["outbox.interrupted", "outbox.resumed"]
