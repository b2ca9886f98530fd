"""What is asked of several units."""

from __future__ import annotations

from sqlalchemy import QueuePool
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.entities import Meeting
from tests.integration.persistence.conftest import OpenUnit


async def stored_meeting(unit: OpenUnit, title: str = "Standup") -> Meeting:
    """A meeting that a unit of its own has stored."""
    async with unit() as uow:
        meeting = await uow.meetings.create(Meeting.create(title=title))
        await uow.commit()
    return meeting


def checked_out(engine: AsyncEngine) -> int:
    assert isinstance(engine.pool, QueuePool)
    return engine.pool.checkedout()
