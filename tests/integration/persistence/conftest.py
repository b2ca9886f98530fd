from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork

OpenUnit = Callable[[], SqlAlchemyUnitOfWork]


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_size=5, pool_timeout_s=20)
    yield engine
    await engine.dispose()


@pytest.fixture
def session_factory(engine: AsyncEngine) -> async_sessionmaker[AsyncSession]:
    return create_session_factory(engine)


@pytest.fixture
def unit(session_factory: async_sessionmaker[AsyncSession], tmp_path: Path) -> OpenUnit:
    """Opens a new unit of work each time it is called."""
    return lambda: SqlAlchemyUnitOfWork(session_factory, tmp_path)
