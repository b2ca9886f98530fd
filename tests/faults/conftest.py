"""A stage for each fault."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.chaos.scene import Scene

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
async def scene(database_url: str, redis_url: str, tmp_path: Path) -> Scene:
    """One meeting, and servers that the test must leave alive."""
    scene = Scene(database_url, redis_url, tmp_path)
    await scene.begin()
    return scene
