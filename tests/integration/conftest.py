"""A database with a pool of five connections, for every test that talks to PostgreSQL through the unit of work."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test below this folder, so that `-m integration` means what it says."""
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker(pytest.mark.integration)


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    """An engine on a fresh, migrated database; the sixth unit of work waits for a connection."""
    engine = create_engine(database_url, pool_size=5, pool_timeout_s=20)
    yield engine
    await engine.dispose()


@pytest.fixture
def session_factory(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    """What a unit of work is made with."""
    return create_session_factory(engine)


@pytest.fixture
def meetings_dir(tmp_path: Path) -> Path:
    """The folder of the meetings' files."""
    return tmp_path
