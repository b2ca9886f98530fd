from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork

OpenUnit = Callable[[], SqlAlchemyUnitOfWork]


@pytest.fixture
def unit(session_factory: async_sessionmaker[AsyncSession], meetings_dir: Path) -> OpenUnit:
    """Opens a new unit of work each time it is called."""
    return lambda: SqlAlchemyUnitOfWork(session_factory, meetings_dir)
