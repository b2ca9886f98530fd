"""Cron jobs, in both classes."""

from __future__ import annotations

import asyncio
import logging
import re
from datetime import timedelta, timezone
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.cron import cron

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, counters, lines_of

AT_ONCE: dict[str, Any] = {"hour": 1, "run_at_startup": True}
pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_a_cron_job_runs_at_startup(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    worker = either(cron_jobs=[cron(answer, **AT_ONCE)], poll_delay=0.01)
    await worker.main()
    assert counters(worker) == (1, 0, 0)
    assert "→ cron:answer()\n  X.XXs ← cron:answer ● 42" in lines_of(caplog)


async def test_cron_jobs_of_one_id_run_once(either: MakeEither) -> None:
    jobs = [cron(answer, name=name, **AT_ONCE, job_id="single") for name in ("a", "b")]
    worker = either(cron_jobs=jobs, poll_delay=0.01)
    await worker.main()
    assert counters(worker) == (1, 0, 0)


async def test_a_cron_job_that_is_not_due_waits(either: MakeEither) -> None:
    worker = either(cron_jobs=[cron(answer, month=1, day=1, hour=1)])
    await worker.main()
    assert counters(worker) == (0, 0, 0)
    assert worker.cron_jobs[0].next_run is not None


async def test_a_tick_is_a_job_of_its_own_name_and_time(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    ids: list[str] = []

    async def look(ctx: Ctx) -> None:
        ids.append(ctx["job_id"])

    jobs = [
        cron(look, name="named", **AT_ONCE),
        cron(look, name="any", unique=False, **AT_ONCE),
        cron("tests.integration.engine.like_arq.answer", **AT_ONCE),
    ]
    worker = either(cron_jobs=jobs, poll_delay=0.01)
    await worker.main()
    assert counters(worker) == (3, 0, 0)
    timed, random = sorted(ids, key=len)
    assert re.fullmatch(r"named:\d{13}", timed)
    assert re.fullmatch(r"[0-9a-f]{32}", random)
    shown = lines_of(caplog)
    assert "→ named()" in shown
    assert "← cron:tests.integration.engine.like_arq.answer ● 42" in shown


async def test_a_tick_leaves_no_result_unless_asked_to(either: MakeEither, redis: ArqRedis) -> None:
    jobs = [
        cron(answer, name="plain", **AT_ONCE),
        cron(answer, name="kept", keep_result=50, **AT_ONCE),
        cron(answer, name="forever", keep_result_forever=True, **AT_ONCE),
    ]
    await either(cron_jobs=jobs, poll_delay=0.01).main()
    lives = {key.split(b":")[2]: await redis.ttl(key) for key in await redis.keys("arq:result:*")}
    assert lives in ({b"kept": 50, b"forever": -1}, {b"kept": 49, b"forever": -1})


async def test_a_cron_job_has_a_time_limit_of_its_own(either: MakeEither, caplog: pytest.LogCaptureFixture) -> None:
    async def long(ctx: Ctx) -> None:
        await asyncio.Event().wait()

    worker = either(cron_jobs=[cron(long, name="long", timeout=0.05, **AT_ONCE)], poll_delay=0.01)
    await worker.main()
    assert counters(worker) == (0, 1, 0)
    assert "! long failed, TimeoutError:" in lines_of(caplog)


async def test_cron_jobs_have_hooks_and_a_queue_as_others_have(either: MakeEither, redis: ArqRedis) -> None:
    said: list[str] = []

    async def hook(ctx: Ctx) -> None:
        said.append(ctx["job_id"].partition(":")[0])

    async def look(ctx: Ctx) -> None:
        said.append("job")
        assert await redis.keys("arq:queue") == []
        assert await redis.zcard("arq:other") == 1
        life_ms = await redis.pttl(f"arq:job:{ctx['job_id']}")
        assert 3_590_000 < life_ms <= 3_601_000 or life_ms == -1  # no body of ours expires under its claim

    redis.expires_extra_ms = 3_600_000
    worker = either(
        cron_jobs=[cron(look, name="look", **AT_ONCE)],
        poll_delay=0.01,
        queue_name="arq:other",
        redis_pool=redis,
        on_job_start=hook,
        on_job_end=hook,
    )
    assert await worker.run_check() == 1
    assert said == ["look", "job", "look"]


@pytest.mark.parametrize("hours", [0, 9])
async def test_ticks_are_told_by_the_workers_timezone(either: MakeEither, hours: int) -> None:
    there = timezone(timedelta(hours=hours))
    worker = either(cron_jobs=[cron(answer, hour=3, minute=30)], timezone=there)
    await worker.main()
    tick = worker.cron_jobs[0].next_run
    assert tick is not None
    assert (tick.hour, tick.minute, tick.utcoffset()) == (3, 30, timedelta(hours=hours))
