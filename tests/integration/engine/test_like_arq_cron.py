"""Cron jobs, in both classes."""

from __future__ import annotations

import logging

import pytest
from arq.connections import ArqRedis
from arq.cron import cron

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.like_arq import answer, counters, lines_of

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


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
