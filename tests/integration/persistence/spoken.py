"""Segments, stored and read by units of their own."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.entities import Segment
from noteflow.domain.ports import Tally
from noteflow.domain.value_objects import MeetingId
from tests.integration.persistence.conftest import OpenUnit


def a_segment(meeting_id: MeetingId, segment_id: int = 1, **changed: Any) -> Segment:
    """A segment that lasts a second and a half."""
    fields: dict[str, Any] = {"text": "hello", "start_time": segment_id * 1.0, "end_time": segment_id + 1.5}
    return Segment(meeting_id, segment_id, **{**fields, **changed})


async def add(unit: OpenUnit, *segments: Segment) -> Tally:
    """Store them by a unit of their own."""
    async with unit() as uow:
        tally = await uow.segments.add_batch(segments[0].meeting_id, segments)
        await uow.commit()
    return tally


async def statements_of(engine: AsyncEngine) -> list[str]:
    """Every statement that the pool's one connection sends from now on."""
    statements: list[str] = []
    async with engine.connect() as connection:
        driver: Any = (await connection.get_raw_connection()).driver_connection
        driver.add_query_logger(lambda record: statements.append(record.query))
    return statements


async def read(unit: OpenUnit, meeting_id: MeetingId) -> list[Segment]:
    """All of a meeting."""
    async with unit() as uow:
        return await uow.segments.get_by_meeting(meeting_id)
