"""What can happen to a PostgreSQL while its workers are busy."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from typing import TYPE_CHECKING, Literal

import asyncpg

from tests.databases import driver_url
from tests.waiting import eventually

if TYPE_CHECKING:
    from worker.embedded import EmbeddedPostgres

WORKERS = "FROM pg_stat_activity WHERE application_name LIKE 'noteflow-worker%'"


async def outage(postgres: EmbeddedPostgres, *, seconds: float = 5.0) -> float:
    """So long without a server. Returns when it answered again, in seconds of the Unix epoch."""
    await asyncio.to_thread(postgres.stop)
    await asyncio.sleep(seconds)
    await asyncio.to_thread(postgres.start)
    return time.time()


async def fast_restart(postgres: EmbeddedPostgres) -> float:
    """Stopped in good order, every session ended, and started again."""
    return await _restart(postgres, "fast")


async def immediate_restart(postgres: EmbeddedPostgres) -> float:
    """Stopped as in a crash, and started again to recover."""
    return await _restart(postgres, "immediate")


async def killed_backend(postgres: EmbeddedPostgres) -> float:
    """One worker's backend dies by SIGKILL, so the server ends every session and recovers by itself."""
    connection = await asyncpg.connect(driver_url(postgres.url("noteflow")))
    pid = await connection.fetchval(f"SELECT pid {WORKERS} LIMIT 1")
    os.kill(pid, signal.SIGKILL)
    await eventually(connection.is_closed)
    await eventually(lambda: _answers(postgres), within_s=30)
    return time.time()


async def terminated_sessions(postgres: EmbeddedPostgres) -> float:
    """Every session of every worker is ended each 200 ms, ten times over."""
    connection = await asyncpg.connect(driver_url(postgres.url("noteflow")))
    for _ in range(10):
        await connection.fetch(f"SELECT pg_terminate_backend(pid) {WORKERS}")
        await asyncio.sleep(0.2)
    await connection.close()
    return time.time()


async def _restart(postgres: EmbeddedPostgres, mode: Literal["fast", "immediate"]) -> float:
    await asyncio.to_thread(postgres.stop, mode)
    await asyncio.to_thread(postgres.start)
    return time.time()


async def _answers(postgres: EmbeddedPostgres) -> bool:
    try:
        connection = await asyncpg.connect(driver_url(postgres.url("noteflow")))
    except (OSError, asyncpg.PostgresError):
        return False
    await connection.close()
    return True
