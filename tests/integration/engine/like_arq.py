"""How both classes are asked and what they say."""

from __future__ import annotations

import re
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job

from tests.integration.engine.jobs import Ctx


async def answer(ctx: Ctx) -> int:
    return 42


async def must_enqueue(redis: ArqRedis, function: str, *args: Any, **kwargs: Any) -> Job:
    """Enqueue a job whose id is free."""
    job = await redis.enqueue_job(function, *args, **kwargs)
    assert job is not None
    return job


def lines_of(caplog: pytest.LogCaptureFixture) -> str:
    """What was logged, without its figures."""
    return re.sub(r"\d+\.\d\ds", "X.XXs", "\n".join(record.message for record in caplog.records))


def counters(worker: Any) -> tuple[int, int, int]:
    """Complete, failed, retried."""
    return worker.jobs_complete, worker.jobs_failed, worker.jobs_retried
