"""Aborting jobs, in both classes."""

from __future__ import annotations

import asyncio
import logging

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, counters, lines_of, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_a_running_job_is_aborted(either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    started = asyncio.Event()

    async def long(ctx: Ctx) -> None:
        started.set()
        await asyncio.Event().wait()

    job = await must_enqueue(redis, "long", _job_id="j")
    worker = either([func(long, name="long")], allow_abort_jobs=True, poll_delay=0.02)

    async def abort() -> None:
        await started.wait()
        assert await job.abort(poll_delay=0.01) is True

    await asyncio.gather(abort(), worker.main())
    assert counters(worker) == (0, 1, 0)
    assert "⊘ j:long aborted" in lines_of(caplog)
    assert worker.aborting_tasks == set()
    assert worker.job_tasks == {}


@pytest.mark.parametrize("defer_s", [None, 3600])
async def test_a_waiting_job_is_aborted_before_its_start(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture, defer_s: int | None
) -> None:
    caplog.set_level(logging.INFO)
    job = await must_enqueue(redis, "answer", _job_id="j", _defer_by=defer_s)
    with pytest.raises(TimeoutError):
        await job.abort(timeout=0)
    worker = either([answer], allow_abort_jobs=True)
    await worker.main()
    assert counters(worker) == (0, 1, 0)
    with pytest.raises(asyncio.CancelledError):
        await job.result(poll_delay=0)
    assert "⊘ j:answer aborted before start" in lines_of(caplog)


async def test_a_job_is_not_aborted_unless_the_worker_allows_it(either: MakeEither, redis: ArqRedis) -> None:
    job = await must_enqueue(redis, "answer")
    with pytest.raises(TimeoutError):
        await job.abort(timeout=0)
    await either([answer]).main()
    assert await job.result(poll_delay=0) == 42
