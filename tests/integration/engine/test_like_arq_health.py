"""The line of health and the counters, in both classes."""

from __future__ import annotations

import pytest
from arq.connections import ArqRedis

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
