"""A stage for jobs, with one meeting on it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
    """A meeting that was just created."""
    return await stage.judge.new_meeting()
