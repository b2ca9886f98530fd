"""Time limits of jobs, in both classes."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import counters, lines_of, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_a_job_over_its_time_fails(either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture) -> None:
    async def long(ctx: Ctx) -> None:
        await asyncio.Event().wait()

    job = await must_enqueue(redis, "long", _job_id="j")
    worker = either([func(long, name="long", timeout=0.05)])
    await worker.main()
    assert counters(worker) == (0, 1, 0)
    with pytest.raises(TimeoutError):
        await job.result(poll_delay=0)
    assert "! j:long failed, TimeoutError:" in lines_of(caplog)
    assert "await asyncio.Event().wait()" in caplog.text, "the traceback does not show where the job was waiting"


async def test_a_job_over_its_time_may_still_return(either: MakeEither, redis: ArqRedis) -> None:
    async def stubborn(ctx: Ctx) -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "finished anyway"

    job = await must_enqueue(redis, "stubborn")
    worker = either([func(stubborn, name="stubborn", timeout=0.05)])
    await worker.main()
    assert counters(worker) == (1, 0, 0)
    assert await job.result(poll_delay=0) == "finished anyway"


async def test_a_job_over_its_time_may_fail_of_something_else(either: MakeEither, redis: ArqRedis) -> None:
    async def clumsy(ctx: Ctx) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while clearing up")

    job = await must_enqueue(redis, "clumsy")
    await either([func(clumsy, name="clumsy", timeout=0.05)]).main()
    with pytest.raises(ValueError, match="while clearing up"):
        await job.result(poll_delay=0)


async def test_the_workers_timeout_is_for_functions_that_have_none(either: MakeEither, redis: ArqRedis) -> None:
    async def nap(ctx: Ctx) -> int:
        await asyncio.sleep(0.2)
        return 42

    short, long = await must_enqueue(redis, "short"), await must_enqueue(redis, "long")
    functions = [func(nap, name="short"), func(nap, name="long", timeout=timedelta(seconds=30))]
    await either(functions, job_timeout=timedelta(seconds=0.05)).main()
    with pytest.raises(TimeoutError):
        await short.result(poll_delay=0)
    assert await long.result(poll_delay=0) == 42
