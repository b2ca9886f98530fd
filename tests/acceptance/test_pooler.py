"""DATABASE_URL leads to a connection pooler that shares sessions: it is named, workers hold back, and no job dies."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from tests.acceptance.fleet import OURS, STOCK, worker_processes
from tests.acceptance.jobs_console import JobsConsole
from tests.acceptance.judge import Judge, dead_letters
from tests.acceptance.pages import Pages, free_port
from tests.acceptance.workload import Workload
from tests.pgbouncer import pgbouncer
from tests.pooler import SETTINGS, Pooler
from tests.proxy import Proxy
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.acceptance.conftest import StartWorkers
    from tests.conftest import OwnPostgres

LIES_BETWEEN = "a connection pooler lies between"
TRANSCRIPT = "1\n00:00:00,000 --> 00:00:01,000\nGood morning.\n"


async def test_a_worker_holds_back_until_its_sessions_are_its_own(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    work, port = Workload(database_url, redis_url), free_port()
    await work.create_meeting()
    await work.enqueue_segments(10)
    settings = {"HTTP_LISTEN": f"127.0.0.1:{port}"}
    async with Pooler(database_url) as pooler, Proxy(database_url) as address, Redis.from_url(redis_url) as redis:
        address.lead_to(pooler.url)
        with worker_processes(OURS, 1, address.url, redis_url, tmp_path, settings) as (worker,):
            await eventually(lambda: worker.lines("storage.down"), within_s=30)
            assert LIES_BETWEEN in worker.lines("storage.down")[0]["reason"]
            await eventually(Pages(port).is_unready, within_s=10)
            assert LIES_BETWEEN in (await Pages(port).read("/readyz")).text
            assert await redis.zcard("arq:queue") == 10
            assert not await redis.keys("arq:in-progress:*")

            address.lead_to(database_url)
            address.reset()
            await eventually(work.is_done, within_s=30)
            assert await eventually(Pages(port).is_ready, within_s=10)

            address.lead_to(pooler.url)
            address.reset()
            await work.enqueue_segments(20)
            await eventually(lambda: len(worker.lines("storage.down")) > 1, within_s=30)
            address.lead_to(database_url)
            address.reset()
            await eventually(work.is_done, within_s=60, every_s=0.1)
            assert not worker.lines("job.dead")
        assert await dead_letters(Judge(database_url), redis) == {}
    await work.judge()


@pytest.mark.slow
async def test_arqs_own_worker_that_holds_nothing_back_loses_no_job_either(
    database_url: str, redis_url: str, start_workers: StartWorkers, tmp_path: Path
) -> None:
    work = Workload(database_url, redis_url)
    await work.create_meeting()
    async with Pooler(database_url) as pooler, Redis.from_url(redis_url) as redis:
        with worker_processes(STOCK, 1, pooler.url, redis_url, tmp_path, {}) as (worker,):
            await work.enqueue_segments(30)
            await eventually(lambda: worker.lines("attempt.unavailable") or worker.lines("job.completed"), within_s=30)
            await asyncio.to_thread(worker.stop)
        await start_workers(database_url, redis_url)
        await eventually(work.is_done, within_s=60, every_s=0.1)
        assert await dead_letters(Judge(database_url), redis) == {}
    await work.judge()


async def test_each_command_names_it(database_url: str, redis_url: str, tmp_path: Path) -> None:
    async with Pooler(database_url) as pooler:
        await named_by_each_command(JobsConsole(pooler.url, redis_url), redis_url, tmp_path)


async def test_each_command_names_pgbouncer_in_transaction_mode(
    own_postgres: OwnPostgres, redis_url: str, tmp_path: Path
) -> None:
    url, ignored = own_postgres(tcp=True).url("noteflow"), ",".join(SETTINGS)
    with pgbouncer(url, tmp_path, pool_mode="transaction", ignore_startup_parameters=ignored) as through:
        await named_by_each_command(JobsConsole(through, redis_url), redis_url, tmp_path)


async def test_one_that_refuses_our_settings_is_quoted_with_what_to_do(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    async with Pooler(database_url, refuses=SETTINGS) as pooler:
        found = await checked(JobsConsole(pooler.url, redis_url))
        assert "unsupported startup parameter: " in found["postgresql"]["found"]
        assert "past the pooler" in found["postgresql"]["cure"]
        answer = await said(JobsConsole(pooler.url, redis_url), "ingest", transcript(tmp_path))
        assert answer.startswith("3: ingest: PostgreSQL at 127.0.0.1:")
        assert "unsupported startup parameter: " in answer


async def named_by_each_command(console: JobsConsole, redis_url: str, folder: Path) -> None:
    found = await checked(console)
    assert found["postgresql sessions"]["verdict"] == "error"
    assert found["postgresql sessions"]["found"].startswith(LIES_BETWEEN)
    assert "past the pooler" in found["postgresql sessions"]["cure"]
    assert "postgresql write" not in found  # what such sessions answer proves nothing

    answer = await said(console, "ingest", transcript(folder))
    assert answer.startswith("3: ingest: PostgreSQL at 127.0.0.1:")
    assert f"cannot be used: {LIES_BETWEEN}" in answer
    async with Redis.from_url(redis_url) as redis:
        assert not await redis.keys("*")

    answer = await said(console, "migrate")
    assert answer.startswith("1: migrate: PostgreSQL at 127.0.0.1:")
    assert f"cannot be used: {LIES_BETWEEN}" in answer


async def checked(console: JobsConsole) -> dict[str, dict[str, str]]:
    """What `check` found, by its subject; it has to end with 1."""
    result = await asyncio.to_thread(console.command, "check", "--json")
    assert result.exit_code == 1, result.output
    return {finding["subject"]: finding for finding in json.loads(result.stdout)}


async def said(console: JobsConsole, *arguments: str) -> str:
    """How a command ended, and what it wrote then, which is one line."""
    result = await asyncio.to_thread(console.command, *arguments)
    (line,) = result.stderr.splitlines()
    return f"{result.exit_code}: {line}"


def transcript(folder: Path) -> str:
    path = folder / "said.srt"
    path.write_text(TRANSCRIPT)
    return str(path)
