"""Being told to stop, in both classes."""

from __future__ import annotations

import asyncio
import logging
import signal
from unittest.mock import MagicMock

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.jobs import JobStatus
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, lines_of, must_enqueue
from tests.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_a_worker_that_waits_lets_jobs_finish_before_it_stops(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    go_on = asyncio.Event()

    async def short(ctx: Ctx) -> None:
        await go_on.wait()

    async def long(ctx: Ctx) -> None:
        await asyncio.Event().wait()

    await must_enqueue(redis, "short", _job_id="s")
    await must_enqueue(redis, "long", _job_id="l")
    worker = either(
        [func(short, name="short"), func(long, name="long")], burst=False, job_completion_wait=1, poll_delay=0.05
    )
    main = asyncio.create_task(worker.main())
    await eventually(lambda: len(worker.job_tasks) == 2)
    worker.handle_sig_wait_for_completion(signal.SIGTERM)
    assert worker.allow_pick_jobs is False
    go_on.set()
    await eventually(lambda: worker.jobs_complete == 1)
    await eventually(lambda: worker.jobs_retried == 1)
    shown = lines_of(caplog)
    assert "shutdown on SIGTERM ◆ 0 jobs complete ◆ 0 failed ◆ 0 retries ◆ 2 to be completed" in shown
    assert "wait complete ◆ 1 jobs complete ◆ 0 failed ◆ 0 retries ◆ 1 ongoing to cancel" in shown
    assert "↻ l:long cancelled, will be run again" in shown
    await eventually(lambda: _free(redis, "l"))
    main.cancel()
    await asyncio.gather(main, return_exceptions=True)


async def _free(redis: ArqRedis, job_id: str) -> bool:
    return not await redis.exists(f"arq:in-progress:{job_id}")


async def test_a_signal_cancels_what_runs(either: MakeEither, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    worker = either([answer])
    worker.main_task = MagicMock()
    done, running = MagicMock(done=lambda: True), MagicMock(done=lambda: False)
    worker.tasks = {"0": done, "1": running}
    worker.handle_sig(signal.SIGINT)
    assert [record.message for record in caplog.records] == [
        "shutdown on SIGINT ◆ 0 jobs complete ◆ 0 failed ◆ 0 retries ◆ 2 ongoing to cancel"
    ]
    assert (done.cancel.call_count, running.cancel.call_count, worker.main_task.cancel.call_count) == (0, 1, 1)
    worker.tasks = {}


async def test_a_closed_worker_may_be_run_again(
    either: MakeEither, redis: ArqRedis, redis_settings: RedisSettings
) -> None:
    worker = either([answer], burst=False, poll_delay=0.02, redis_settings=redis_settings)
    for _ in range(2):  # as `arq --watch` does
        run = asyncio.create_task(worker.async_run())
        job = await must_enqueue(redis, "answer")
        assert await job.result(timeout=5, poll_delay=0.01) == 42
        await eventually(lambda: all(task.done() for task in worker.tasks.values()))
        worker.handle_sig(signal.SIGUSR1)
        await worker.close()
        await asyncio.gather(run, return_exceptions=True)
    assert worker.jobs_complete == 2


async def test_a_worker_inside_an_application_is_stopped_by_closing_it(either: MakeEither, redis: ArqRedis) -> None:
    async def long(ctx: Ctx) -> None:
        await asyncio.Event().wait()

    job = await must_enqueue(redis, "long", _job_id="j")
    worker = either([func(long, name="long")], burst=False, poll_delay=0.02, handle_signals=False)
    stopped: list[signal.Signals] = []
    worker.on_stop = stopped.append
    run = asyncio.create_task(worker.async_run())
    await eventually(lambda: worker.job_tasks)
    await worker.close()
    with pytest.raises(asyncio.CancelledError):
        await run
    assert stopped == [signal.SIGUSR1]
    assert await job.status() is JobStatus.queued
