"""What Arq documents of jobs, shown of Arq's worker and of ours."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import JobStatus
from arq.worker import FailedJobs, JobExecutionFailed, func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, counters, lines_of, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def echo(ctx: Ctx, *args: Any, **kwargs: Any) -> Any:
    return [*args, kwargs]


async def fail(ctx: Ctx) -> None:
    raise ValueError("no good")


async def test_a_job_runs_and_its_result_is_read(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    job = await must_enqueue(redis, "echo", 1, "two", _job_id="j", three=3)
    assert await job.status() is JobStatus.queued
    worker = either([echo])
    await worker.main()
    assert counters(worker) == (1, 0, 0)
    assert await job.result(poll_delay=0) == [1, "two", {"three": 3}]
    assert await job.status() is JobStatus.complete
    shown = lines_of(caplog)
    assert "Starting worker for 1 functions: echo" in shown
    assert "X.XXs → j:echo(1, 'two', three=3)\n  X.XXs ← j:echo ● [1, 'two', {'three': 3}]" in shown


async def test_results_are_not_logged_on_request(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await must_enqueue(redis, "answer", _job_id="j")
    await either([answer], log_results=False).main()
    assert lines_of(caplog).endswith("← j:answer ● ")


async def test_only_the_result_and_the_line_of_health_remain(either: MakeEither, redis: ArqRedis) -> None:
    await must_enqueue(redis, "answer", _job_id="j")
    worker = either([answer])
    await worker.main()
    assert sorted(await redis.keys("*")) == [b"arq:queue:health-check", b"arq:result:j"]
    await worker.close()
    assert await redis.keys("*") == [b"arq:result:j"]


async def test_the_context_tells_about_the_job(either: MakeEither, redis: ArqRedis) -> None:
    seen: Ctx = {}

    async def look(ctx: Ctx) -> None:
        seen.update(ctx)

    before = datetime.now(UTC) - timedelta(seconds=1)
    await must_enqueue(redis, "look", _job_id="j")
    await either([func(look, name="look")], ctx={"mine": 1}).main()
    assert (seen["job_id"], seen["job_try"], seen["mine"]) == ("j", 1, 1)
    assert before < seen["enqueue_time"] < datetime.now(UTC)
    assert isinstance(seen["redis"], ArqRedis)
    assert abs(seen["score"] - seen["enqueue_time"].timestamp() * 1000) < 1000


async def test_a_job_that_raises_fails_at_once_and_its_error_comes_back(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    job = await must_enqueue(redis, "fail", _job_id="j")
    worker = either([fail])
    await worker.main()
    assert counters(worker) == (0, 1, 0)
    with pytest.raises(ValueError, match="no good"):
        await job.result(poll_delay=0)
    assert "X.XXs ! j:fail failed, ValueError: no good" in lines_of(caplog)


async def test_run_check_raises_for_failed_jobs_and_counts_the_others(either: MakeEither, redis: ArqRedis) -> None:
    await must_enqueue(redis, "answer")
    assert await either([answer]).run_check() == 1
    await must_enqueue(redis, "fail")
    with pytest.raises(FailedJobs, match="1 job failed ValueError"):
        await either([fail]).run_check()


async def test_run_check_names_every_failure_and_may_be_called_again(either: MakeEither, redis: ArqRedis) -> None:
    worker = either([answer, fail])
    for total in (1, 2):
        await must_enqueue(redis, "answer")
        assert await worker.run_check() == total
    for _ in range(2):
        await must_enqueue(redis, "fail")
    with pytest.raises(FailedJobs) as failed:
        await worker.run_check()
    assert str(failed.value) == "2 jobs failed:\nValueError('no good')\nValueError('no good')"
    assert (failed.value.count, len(failed.value.job_results)) == (2, 2)


async def test_an_unknown_function_fails_in_a_burst(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    job = await must_enqueue(redis, "absent", _job_id="j")
    await either([answer]).main()
    with pytest.raises(JobExecutionFailed, match="function 'absent' not found"):
        await job.result(poll_delay=0)
    assert "job j, function 'absent' not found" in lines_of(caplog)


async def test_a_job_without_its_body_has_expired(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    job = await must_enqueue(redis, "answer", _job_id="j")
    await redis.delete("arq:job:j")
    await either([answer]).main()
    with pytest.raises(JobExecutionFailed, match="job expired"):
        await job.result(poll_delay=0)
    assert "job j expired" in lines_of(caplog)


async def test_deferred_jobs_wait(either: MakeEither, redis: ArqRedis) -> None:
    later = await must_enqueue(redis, "answer", _defer_by=3600)
    worker = either([answer])
    await worker._poll_iteration()
    assert await later.status() is JobStatus.deferred
    assert worker.tasks == {}


async def test_an_id_is_taken_until_its_result_is_gone(either: MakeEither, redis: ArqRedis) -> None:
    await must_enqueue(redis, "answer", _job_id="j")
    assert await redis.enqueue_job("answer", _job_id="j") is None
    await either([answer]).main()
    assert await redis.enqueue_job("answer", _job_id="j") is None
    await redis.delete("arq:result:j")
    assert await redis.enqueue_job("answer", _job_id="j") is not None
