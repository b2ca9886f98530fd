"""Tries, in both classes."""

from __future__ import annotations

import asyncio
import logging

import pytest
from arq.connections import ArqRedis
from arq.worker import FailedJobs, JobExecutionFailed, Retry, RetryJob, func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import counters, lines_of, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_retry_runs_again_after_its_delay_and_counts(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def third_time(ctx: Ctx) -> int:
        if ctx["job_try"] < 3:
            raise Retry(defer=0.01)
        return int(ctx["job_try"])

    job = await must_enqueue(redis, "third_time", _job_id="j")
    worker = either([func(third_time, name="third_time")])
    await worker.main()
    assert counters(worker) == (1, 0, 2)
    assert await job.result(poll_delay=0) == 3
    shown = lines_of(caplog)
    assert "↻ j:third_time retrying job in X.XXs" in shown
    assert "→ j:third_time() try=3" in shown


@pytest.mark.parametrize("raised", [RetryJob(), asyncio.CancelledError()], ids=repr)
async def test_a_job_that_is_cancelled_or_asks_for_it_runs_again(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture, raised: BaseException
) -> None:
    caplog.set_level(logging.INFO)

    async def once(ctx: Ctx) -> None:
        if ctx["job_try"] == 1:
            raise raised

    await must_enqueue(redis, "once", _job_id="j")
    worker = either([func(once, name="once")])
    await worker.main()
    assert counters(worker) == (1, 0, 1)
    assert "↻ j:once cancelled, will be run again" in lines_of(caplog)


async def test_a_job_out_of_tries_fails(either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture) -> None:
    async def never(ctx: Ctx) -> None:
        raise Retry

    job = await must_enqueue(redis, "never", _job_id="j")
    worker = either([func(never, name="never", max_tries=3)])
    await worker.main()
    assert counters(worker) == (0, 1, 3)
    with pytest.raises(JobExecutionFailed, match="max 3 retries exceeded"):
        await job.result(poll_delay=0)
    assert "! j:never max retries 3 exceeded" in lines_of(caplog)


async def test_no_job_is_retried_when_retries_are_off(either: MakeEither, redis: ArqRedis) -> None:
    async def again(ctx: Ctx) -> None:
        raise Retry(defer=0.01)

    await must_enqueue(redis, "again")
    with pytest.raises(FailedJobs, match=r"1 job failed <Retry defer 0.01s>"):
        await either([func(again, name="again")]).run_check(retry_jobs=False)


async def test_what_is_said_of_a_retry_that_is_no_longer_retried_is_the_retry(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    async def again(ctx: Ctx) -> None:
        raise Retry(defer=2) from KeyError("k")

    await must_enqueue(redis, "again", _job_id="j")
    await either([func(again, name="again")], retry_jobs=False).main()
    assert "! j:again failed, Retry: <Retry defer X.XXs>" in lines_of(caplog)


async def test_a_producer_may_say_which_try_it_is(either: MakeEither, redis: ArqRedis) -> None:
    tries = []

    async def note(ctx: Ctx) -> None:
        tries.append(ctx["job_try"])
        if ctx["job_try"] == 3:
            raise Retry

    await must_enqueue(redis, "note", _job_try=3)
    await either([func(note, name="note")]).main()
    assert tries == [3, 4]
