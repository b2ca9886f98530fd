"""Workers of the engine alone, in processes of their own."""

from __future__ import annotations

import asyncio
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from arq.connections import ArqRedis

LEASE_S = 2.0
Spawn = Callable[..., Awaitable[Process]]


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[ArqRedis]:
    pool = ArqRedis.from_url(redis_url)
    yield pool
    await pool.aclose(close_connection_pool=True)


@pytest.fixture
async def spawn(redis_url: str) -> AsyncIterator[Spawn]:
    processes: list[Process] = []

    async def start(*, wait_s: int = 0, lease_s: float = LEASE_S, beat_s: float = 10.0) -> Process:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.acceptance.engine.program", redis_url, str(lease_s), str(wait_s), str(beat_s)),
            stderr=PIPE,
        )
        processes.append(process)
        return process

    yield start
    for process in processes:
        if process.returncode is None:
            process.kill()
        await process.communicate()
