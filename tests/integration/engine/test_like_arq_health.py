"""The line of health and the counters, in both classes."""

from __future__ import annotations

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.worker import async_check_health

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.like_arq import answer, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_the_line_of_health_counts(either: MakeEither, redis: ArqRedis) -> None:
    await must_enqueue(redis, "answer")
    worker = either([answer], health_check_interval=0)
    await worker.main()
    await worker.main()
    line = await redis.get("arq:queue:health-check")
    assert b"j_complete=1 j_failed=0 j_retried=0 j_ongoing=0 queued=0" in (line or b"")


async def test_a_worker_shows_its_counters(either: MakeEither) -> None:
    assert repr(either([answer])) == "<Worker j_complete=0 j_failed=0 j_retried=0 j_ongoing=0>"


async def test_a_check_finds_the_line_of_a_queue_until_its_worker_has_stopped(
    either: MakeEither, redis: ArqRedis, redis_settings: RedisSettings
) -> None:
    worker = either([answer], health_check_interval=30)
    assert await async_check_health(redis_settings) == 1
    await worker.main()
    assert await async_check_health(redis_settings) == 0
    assert await async_check_health(redis_settings, queue_name="arq:other") == 1
    assert 29 <= await redis.ttl("arq:queue:health-check") <= 31
    await worker.close()
    assert await async_check_health(redis_settings) == 1


async def test_the_line_may_have_a_key_of_its_own(
    either: MakeEither, redis: ArqRedis, redis_settings: RedisSettings
) -> None:
    worker = either([answer], health_check_key="of:my:own", queue_name="arq:other")
    await worker.main()
    assert await async_check_health(redis_settings, "of:my:own") == 0
    assert await redis.keys("*health*") == []
    await worker.close()
    assert await redis.exists("of:my:own") == 0
