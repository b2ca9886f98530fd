"""The command that starts a worker, beside Arq's."""

from __future__ import annotations

import asyncio
import fcntl
import os
import re
import subprocess
import sys
from collections.abc import Sequence

import pytest
from arq.connections import ArqRedis

from tests.acceptance.manager import tool

SETTINGS = "tests.acceptance.engine.program.WorkerSettings"
ARQ, OURS = (tool("arq"),), (sys.executable, "-m", "worker.engine")


@pytest.mark.parametrize("command", [ARQ, OURS], ids=["arq", "ours"])
async def test_a_burst_runs_what_waits_says_so_and_ends_with_0(
    redis: ArqRedis, redis_url: str, command: Sequence[str]
) -> None:
    await redis.enqueue_job("nap", _job_id="j")
    ended = run(redis_url, *command, SETTINGS, "--burst")
    assert ended.returncode == 0
    assert re.sub(r"\d+\.\d\ds|\d\d:\d\d:\d\d|redis_version.*", "…", ended.stderr).replace(
        " delayed=…", ""
    ).splitlines() == [
        "…: Starting worker for 1 functions: nap",
        "…: …",
        "…:   … → j:nap()",
        "…:   … ← j:nap ● ",
    ]
    assert await redis.exists("arq:result:j")


async def test_a_check_ends_with_1_until_a_worker_has_written_its_line(redis: ArqRedis, redis_url: str) -> None:
    assert run(redis_url, *OURS, SETTINGS, "--check").returncode == 1
    await redis.set("arq:queue:health-check", "j_complete=0")
    assert run(redis_url, *OURS, SETTINGS, "--check").returncode == 0


async def test_a_blocked_log_stops_neither_the_jobs_nor_the_end_of_the_process(redis: ArqRedis, redis_url: str) -> None:
    for number in range(50):
        await redis.enqueue_job("nap", _job_id=f"a-job-whose-lines-are-long-enough-to-fill-a-pipe-{number}")
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    try:
        command = [*OURS, SETTINGS, "--burst"]
        ended = await asyncio.to_thread(
            subprocess.run, command, env={"CHECKED_REDIS_URL": redis_url}, stderr=writer, check=False, timeout=60
        )
        assert ended.returncode == 0
        assert os.read(reader, 4096).count(b"\n") > 10
    finally:
        os.close(reader)
        os.close(writer)
    assert len(await redis.keys("arq:result:*")) == 50


def run(redis_url: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, env={"CHECKED_REDIS_URL": redis_url}, capture_output=True, text=True, check=False, timeout=60
    )
