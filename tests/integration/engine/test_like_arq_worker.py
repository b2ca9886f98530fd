"""What Arq documents of workers, shown of Arq's worker and of ours."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import Any
from unittest.mock import MagicMock

import pytest
from arq.connections import ArqRedis
from arq.cron import cron
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, counters, lines_of, must_enqueue
from tests.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_hooks_run_in_order_around_jobs_and_the_worker(either: MakeEither, redis: ArqRedis) -> None:
    said: list[str] = []

    def hook(name: str) -> Any:
        async def say(ctx: Ctx) -> None:
            kept = await ctx["redis"].exists("arq:result:j")
            said.append(f"{name} {ctx.get('job_id', '-')} {'recorded' if kept else 'not yet'}")

        return say

    async def job(ctx: Ctx) -> None:
        said.append("job")

    names = ("on_startup", "on_job_start", "on_job_end", "after_job_end", "on_shutdown")
    await must_enqueue(redis, "job", _job_id="j")
    worker = either([func(job, name="job")], **{name: hook(name) for name in names})
    await worker.main()
    await worker.close()
    assert said == [
        "on_startup - not yet",
        "on_job_start j not yet",
        "job",
        "on_job_end j not yet",
        "after_job_end j recorded",
        "on_shutdown - recorded",
    ]


async def test_a_burst_ends_after_as_many_jobs_as_asked(either: MakeEither, redis: ArqRedis) -> None:
    for _ in range(3):
        await must_enqueue(redis, "answer")
    worker = either([answer])
    assert await worker.run_check(max_burst_jobs=2) == 2
    assert await redis.zcard("arq:queue") == 1


async def test_a_burst_of_none_starts_none(either: MakeEither, redis: ArqRedis) -> None:
    await must_enqueue(redis, "answer")
    worker = either([answer], max_burst_jobs=0)
    await worker._poll_iteration()
    assert worker.tasks == {}


async def test_a_burst_runs_what_its_jobs_enqueue(either: MakeEither, redis: ArqRedis) -> None:
    async def parent(ctx: Ctx) -> None:
        await ctx["redis"].enqueue_job("answer")

    await must_enqueue(redis, "parent")
    assert await either([func(parent, name="parent"), answer]).run_check() == 2


async def test_a_poll_starts_no_more_than_the_read_limit(either: MakeEither, redis: ArqRedis) -> None:
    for _ in range(4):
        await must_enqueue(redis, "answer")
    worker = either([answer], queue_read_limit=2)
    await worker._poll_iteration()
    await asyncio.gather(*worker.tasks.values())
    assert worker.jobs_complete == 2
    assert await redis.zcard("arq:queue") == 2


async def test_no_more_jobs_run_than_there_are_slots(either: MakeEither, redis: ArqRedis) -> None:
    running = 0
    most = 0

    async def count(ctx: Ctx) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.001)
        running -= 1

    for _ in range(30):
        await must_enqueue(redis, "count")
    await either([func(count, name="count")], max_jobs=4).main()
    assert 1 <= most <= 4


async def test_start_jobs_takes_each_job_once(either: MakeEither, redis: ArqRedis) -> None:
    ran = 0

    async def once(ctx: Ctx) -> None:
        nonlocal ran
        ran += 1

    await must_enqueue(redis, "once", _job_id="j")
    worker = either([func(once, name="once")])
    await asyncio.gather(*[worker.start_jobs([b"j"]) for _ in range(5)])
    await worker.main()
    assert ran == 1


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


async def test_the_line_of_health_counts(either: MakeEither, redis: ArqRedis) -> None:
    await must_enqueue(redis, "answer")
    worker = either([answer], health_check_interval=0)
    await worker.main()
    await worker.main()
    line = await redis.get("arq:queue:health-check")
    assert b"j_complete=1 j_failed=0 j_retried=0 j_ongoing=0 queued=0" in (line or b"")


async def test_a_worker_shows_its_counters(either: MakeEither) -> None:
    assert repr(either([answer])) == "<Worker j_complete=0 j_failed=0 j_retried=0 j_ongoing=0>"


async def test_a_cron_job_runs_at_startup(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    worker = either(cron_jobs=[cron(answer, hour=1, run_at_startup=True)], poll_delay=0.01)
    await worker.main()
    assert counters(worker) == (1, 0, 0)
    assert "→ cron:answer()\n  X.XXs ← cron:answer ● 42" in lines_of(caplog)


async def test_cron_jobs_of_one_id_run_once(either: MakeEither) -> None:
    jobs = [cron(answer, name=name, hour=1, run_at_startup=True, job_id="single") for name in ("a", "b")]
    worker = either(cron_jobs=jobs, poll_delay=0.01)
    await worker.main()
    assert counters(worker) == (1, 0, 0)


async def test_a_cron_job_that_is_not_due_waits(either: MakeEither) -> None:
    worker = either(cron_jobs=[cron(answer, month=1, day=1, hour=1)])
    await worker.main()
    assert counters(worker) == (0, 0, 0)
    assert worker.cron_jobs[0].next_run is not None


async def test_a_worker_may_serve_another_queue(either: MakeEither, redis: ArqRedis) -> None:
    await must_enqueue(redis, "answer", _queue_name="arq:other")
    await must_enqueue(redis, "answer")
    worker = either([answer], queue_name="arq:other")
    await worker.main()
    assert worker.jobs_complete == 1
    assert await redis.zcard("arq:queue") == 1
