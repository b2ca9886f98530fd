"""Aborting jobs, in both classes."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, counters, lines_of, must_enqueue
from tests.waiting import eventually

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


async def test_a_job_that_has_ended_or_never_was_is_not_aborted(either: MakeEither, redis: ArqRedis) -> None:
    job = await must_enqueue(redis, "answer")
    await either([answer], allow_abort_jobs=True).main()
    assert await job.abort(timeout=5, poll_delay=0.01) is False
    assert await Job("unknown", redis).abort(timeout=5, poll_delay=0.01) is False


async def test_a_job_that_takes_no_notice_of_being_aborted_is_complete(either: MakeEither, redis: ArqRedis) -> None:
    started = asyncio.Event()

    async def stubborn(ctx: Ctx) -> str:
        started.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "finished anyway"

    job = await must_enqueue(redis, "stubborn")
    worker = either([func(stubborn, name="stubborn")], allow_abort_jobs=True, poll_delay=0.02)
    main = asyncio.create_task(worker.main())
    await started.wait()
    assert await job.abort(timeout=5, poll_delay=0.01) is False
    await main
    assert counters(worker) == (1, 0, 0)
    assert await job.result(poll_delay=0) == "finished anyway"


async def test_a_job_that_a_task_of_the_worker_cancels_is_not_aborted_but_run_again(
    either: MakeEither, redis: ArqRedis
) -> None:
    async def long(ctx: Ctx) -> int:
        if ctx["job_try"] == 1:
            await asyncio.Event().wait()
        return 42

    job = await must_enqueue(redis, "long", _job_id="j")
    worker = either([func(long, name="long")], poll_delay=0.02)
    main = asyncio.create_task(worker.main())
    await eventually(lambda: "j" in worker.job_tasks)
    worker.job_tasks["j"].cancel()
    await main
    assert counters(worker) == (1, 0, 1)
    assert await job.result(poll_delay=0) == 42
