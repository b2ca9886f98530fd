"""The rights that docs/engine.md says a worker's user needs are enough for whatever a worker does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.cron import cron
from arq.worker import Retry, func

from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import must_enqueue
from tests.waiting import eventually
from worker.engine import DeadLetters, HandBack, Options, Replayed, Worker

DOCS = Path(__file__).parents[3] / "docs/engine.md"


@pytest.fixture
async def restricted(redis: ArqRedis, redis_settings: RedisSettings) -> AsyncIterator[RedisSettings]:
    """The settings of a user with the rights that the page names, and no others."""
    (rights,) = [line for line in DOCS.read_text().splitlines() if line.startswith("ACL SETUSER jobs ")]
    await _acl(redis, *rights.split()[1:])
    await _acl(redis, "LOG", "RESET")
    redis_settings.username, redis_settings.password = "jobs", "password"
    yield redis_settings
    await _acl(redis, "DELUSER", "jobs")


async def test_with_the_rights_that_the_page_names_nothing_is_refused(
    redis: ArqRedis, restricted: RedisSettings, caplog: pytest.LogCaptureFixture
) -> None:
    async def once(ctx: Ctx, ending: str = "") -> None:
        if ctx["job_try"] == 1 and await ctx["redis"].set(f"arq:seen:{ctx['job_id']}", 1, nx=True):
            endings: dict[str, Any] = {"retry": Retry(0.01), "hand back": HandBack(0.01, "away"), "fail": ValueError()}
            if ending in endings:
                raise endings[ending]
            if ending == "abort":
                await asyncio.Event().wait()

    options = Options(more_queues=("arq:low",), lease_s=0.3, beat_s=0.2, allow_pickle=True)
    worker = Worker(
        [func(once, name="once"), func(once, name="paused")],
        cron_jobs=[cron(once, name="tick", hour=1, run_at_startup=True)],
        redis_settings=restricted,
        handle_signals=False,
        allow_abort_jobs=True,
        options=options,
    )
    await redis.hset("arq:paused", "function:paused", "look first")  # type: ignore[misc]
    run = asyncio.create_task(worker.async_run())
    for ending in ("return", "retry", "hand back", "fail"):
        await must_enqueue(redis, "once", ending, _job_id=ending, _queue_name="arq:low")
    aborted = await must_enqueue(redis, "once", "abort", _job_id="abort")
    await must_enqueue(redis, "paused", _job_id="paused")
    await eventually(lambda: "abort" in worker.job_tasks)
    assert await aborted.abort(timeout=10, poll_delay=0.01)
    await eventually(lambda: redis.exists("arq:shelves:arq:queue"))
    await redis.hdel("arq:paused", "function:paused")  # type: ignore[misc]
    for job_id in ("return", "retry", "hand back", "paused"):
        await eventually(lambda job_id=job_id: redis.exists(f"arq:result:{job_id}"))  # type: ignore[misc]
    letters = DeadLetters(worker.pool)
    assert [letter.job_id async for letter in letters.find()] == ["fail"]
    assert await letters.replay("fail") is Replayed.REPLAYED
    await eventually(lambda: redis.exists("arq:result:fail"))
    await worker.close()
    await asyncio.gather(run, return_exceptions=True)
    assert await _acl(redis, "LOG") == []
    assert [record.message for record in caplog.records if record.name == "worker.engine"] == []


async def _acl(redis: ArqRedis, *words: str) -> Any:
    return await redis.execute_command("ACL", *words)  # type: ignore[no-untyped-call]
