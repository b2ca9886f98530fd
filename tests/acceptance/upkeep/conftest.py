"""Commands of the worker, run to their end, beside a stage that fills the ledger."""

from __future__ import annotations

import asyncio
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.acceptance.manager import PATIENCE_S, ROOT, environment
from tests.acceptance.upkeep.run import Run, command
from tests.integration.worker.stage import Stage, open_stage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from uuid import UUID


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with open_stage(database_url) as stage:
        yield stage


@pytest.fixture
async def met(stage: Stage) -> UUID:
    return await stage.judge.new_meeting()


@pytest.fixture
def run(database_url: str, redis_url: str) -> Run:
    """Runs a command of the worker to its end."""

    async def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        told = environment(database_url, redis_url) | variables
        return await asyncio.to_thread(
            subprocess.run, command(*arguments), cwd=ROOT, env=told, capture_output=True, text=True, timeout=PATIENCE_S
        )

    return run
