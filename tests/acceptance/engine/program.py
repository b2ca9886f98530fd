"""A worker in a process of its own: ``python -m tests.acceptance.engine.program URL LEASE_S WAIT_S BEAT_S``."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from typing import Any, ClassVar

import uvloop
from arq.connections import RedisSettings
from arq.worker import func

from worker.engine import Options, Worker


async def hold(ctx: dict[Any, Any]) -> str:
    """Say that it runs, and wait until the test says ``go``."""
    await ctx["redis"].rpush("ran", f"{ctx['job_id']} {ctx['job_try']}")
    while not await ctx["redis"].exists("go"):
        await asyncio.sleep(0.02)
    return "held"


async def count(ctx: dict[Any, Any]) -> None:
    """Count how often the job was done."""
    await asyncio.sleep(0.005)
    await ctx["redis"].hincrby("done", ctx["job_id"], 1)


async def nap(ctx: dict[Any, Any]) -> None:
    """Keep a slot for a moment, and the processor free."""
    await asyncio.sleep(0.25)


async def block(ctx: dict[Any, Any], for_s: float = 60) -> None:
    """Block the event loop."""
    await ctx["redis"].rpush("ran", ctx["job_id"])
    time.sleep(for_s)


async def die(ctx: dict[Any, Any]) -> None:
    """Take the whole process along, as a job does that runs out of memory."""
    os.kill(os.getpid(), signal.SIGKILL)


class WorkerSettings:
    """What ``arq --check`` looks at."""

    functions: ClassVar = [nap]
    options = Options(allow_pickle=True)
    redis_settings = RedisSettings.from_dsn(os.environ.get("CHECKED_REDIS_URL", "redis://"))


def main(url: str, lease_s: str, wait_s: str, beat_s: str) -> None:
    """Serve until told to stop."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        worker = runner.run(_make(url, float(lease_s), int(wait_s), float(beat_s)))
        worker.run()


async def _make(url: str, lease_s: float, wait_s: int, beat_s: float) -> Worker:
    return Worker(
        [func(f, name=f.__name__, max_tries=2, timeout=3600) for f in (hold, count, nap, block, die)],
        redis_settings=RedisSettings.from_dsn(url),
        options=Options(lease_s=lease_s, beat_s=beat_s),
        job_completion_wait=wait_s,
        max_jobs=50,
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
