"""A process that has no file descriptor left fails no job: what a failure needs was loaded at the start."""

from __future__ import annotations

import asyncio
import resource
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from arq import create_pool
from arq.connections import RedisSettings

from tests.acceptance.fleet import ODD, OURS, STOCK, Command
from tests.acceptance.judge import Judge, dead_letters
from tests.acceptance.mishaps import WORKERS
from tests.acceptance.pages import Pages, free_port
from tests.acceptance.test_canary import (
    enqueue_endings,
    enqueue_malformed,
    enqueue_misshapen,
    only_the_unknown_waits,
    say,
)
from tests.acceptance.workload import Workload
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.acceptance.conftest import StartWorkers
    from tests.conftest import OwnPostgres, OwnRedis

WATCHED: dict[Command, Command] = {
    OURS: (sys.executable, "-m", "tests.acceptance.watched_worker", "run"),
    STOCK: (*STOCK[:1], "tests.acceptance.watched_worker.WorkerSettings"),
}


@pytest.mark.parametrize("command", [OURS, pytest.param(STOCK, marks=pytest.mark.slow)], ids=["run", "arq"])
async def test_no_failure_opens_a_file_or_imports_a_module(
    command: Command, own_postgres: OwnPostgres, own_redis: OwnRedis, start_workers: StartWorkers, tmp_path: Path
) -> None:
    postgres, redis, watched, port = own_postgres(), own_redis(append_only=True), tmp_path / "watched", free_port()
    judge = Judge(postgres.url("noteflow"))
    settings = {"ALLOW_PICKLE": "true", "WATCH_LOG": str(watched), "HTTP_LISTEN": f"127.0.0.1:{port}"}
    (worker,) = await start_workers(judge.database_url, redis.url(), command=WATCHED[command], settings=settings)
    pool = await create_pool(RedisSettings.from_dsn(redis.url()))
    meeting = await judge.new_meeting()
    if command is OURS:
        await Pages(port).read("/metrics")
    at_start = watched.read_text().splitlines()

    await say(pool, meeting, "first", 1, "said")
    await eventually(judge.count)
    await enqueue_endings(pool, meeting)
    await enqueue_malformed(pool, meeting)
    if command is OURS:
        await enqueue_misshapen(pool)
    await eventually(lambda: only_the_unknown_waits(pool), within_s=60, every_s=0.1)
    await asyncio.to_thread(postgres.stop, "immediate")
    await eventually(lambda: worker.lines("storage.down"), within_s=30)
    await asyncio.to_thread(postgres.start)
    await eventually(lambda: worker.lines("storage.up"), within_s=30)
    if command is OURS:  # Arq's own worker does not outlive its Redis
        await asyncio.to_thread(redis.stop)
        await asyncio.to_thread(redis.start)
    await say(pool, meeting, "last", 99, "bug last")
    await eventually(lambda: worker.lines("job.dead")[-1]["job"] == "last", within_s=30)
    if command is OURS:
        await Pages(port).read("/readyz")
    assert await asyncio.to_thread(worker.stop) == 0
    await pool.aclose(close_connection_pool=True)

    assert {"bug", "nested", "statement", "refuse", "contradicts"} <= {line["job"] for line in worker.lines("job.dead")}
    assert watched.read_text().splitlines()[len(at_start) :] == []


async def test_jobs_outlast_a_process_that_may_open_nothing_more(
    database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    (worker,) = await start_workers(
        database_url, redis_url, command=ODD[OURS], settings={"ALLOW_PICKLE": "true", "ODD_SLEEP_S": "0.5"}
    )
    judge, work = Judge(database_url), Workload(database_url, redis_url)
    await work.create_meeting()
    await work.enqueue_segments(10)
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    await say(pool, work.meeting.id, "bug", 999, "bug of the handler")
    await eventually(lambda: worker.lines("odd.began"), within_s=30)
    _, most = resource.prlimit(worker.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (3, most))
    await judge.ask(f"SELECT pg_terminate_backend(pid) {WORKERS}")
    await eventually(lambda: [line for line in worker.lines("attempt.unavailable") if line["attempt"] > 2], within_s=30)
    resource.prlimit(worker.pid, resource.RLIMIT_NOFILE, (most, most))
    await eventually(work.is_done, within_s=60, every_s=0.1)
    await eventually(lambda: worker.lines("job.dead"), within_s=30)

    await work.judge()
    assert "EMFILE" in worker.lines("storage.down")[0]["reason"]
    async with pool:
        assert list(await dead_letters(judge, pool)) == ["bug"]
