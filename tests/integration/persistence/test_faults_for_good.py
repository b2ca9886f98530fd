"""What no waiting cures: data that the schema refuses, and a unit of work in which something failed."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.entities import Meeting
from noteflow.domain.errors import (
    RejectedByStorage,
    UnitOfWorkFailed,
)
from noteflow.infrastructure.persistence.transaction import Transaction
from tests.integration.persistence.conftest import OpenUnit
from tests.integration.persistence.faulty import ask
from tests.integration.persistence.units import checked_out, stored_meeting


@pytest.mark.parametrize(
    ("column", "value", "rule"),
    [
        ("start_time", "'NaN'", "times_in_order"),
        ("start_time", "-1", "times_in_order"),
        ("end_time", "'Infinity'", "times_in_order"),
        ("end_time", "0.5", "times_in_order"),
        ("segment_id", "-1", "segment_id_not_negative"),
        ("revision", "-1", "revision_not_negative"),
        ("confidence", "1.5", "confidence_is_a_share"),
    ],
)
async def test_the_schema_is_a_second_line_behind_the_domain(
    engine: AsyncEngine, unit: OpenUnit, column: str, value: str, rule: str
) -> None:
    meeting = await stored_meeting(unit)
    values = {"segment_id": "1", "revision": "0", "start_time": "1", "end_time": "2", "confidence": "1", column: value}
    with pytest.raises(RejectedByStorage, match=f"segments_{rule}"):
        await ask(
            engine,
            f"INSERT INTO segments (meeting_id, text, {', '.join(values)})"
            f" VALUES ('{meeting.id}', '', {', '.join(values.values())})",
        )


@pytest.mark.parametrize(
    ("assignment", "rule"),
    [
        ("state = 'PAUSED'", "state_known"),
        ("version = 0", "version_positive"),
        ("sequence = -1", "sequence_not_negative"),
        ("title = ' '", "title_not_empty"),
        ("started_at = now(), ended_at = now() - interval '1 s'", "ended_after_started"),
    ],
)
async def test_the_schema_keeps_meetings_true(engine: AsyncEngine, unit: OpenUnit, assignment: str, rule: str) -> None:
    await stored_meeting(unit)
    with pytest.raises(RejectedByStorage, match=f"meetings_{rule}"):
        await ask(engine, f"UPDATE meetings SET {assignment}")


async def test_text_that_postgresql_cannot_hold_is_refused_for_good(engine: AsyncEngine) -> None:
    transaction = Transaction(engine)
    for poison in ("\x00", "\ud800"):
        with pytest.raises(RejectedByStorage):
            await transaction.run(text("SELECT CAST(:value AS text)"), {"value": poison})
        await transaction.rollback()


async def test_an_error_that_is_swallowed_cannot_be_committed(engine: AsyncEngine, unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    another = Meeting.create(title="another")
    async with unit() as uow:
        await uow.meetings.create(another)
        with pytest.raises(RejectedByStorage):
            await uow.meetings.create(meeting)
        with pytest.raises(UnitOfWorkFailed):
            await uow.meetings.get(meeting.id)
        with pytest.raises(UnitOfWorkFailed):
            await uow.commit()
    async with unit() as uow:
        assert await uow.meetings.get(another.id) is None


async def test_a_unit_whose_statement_was_cancelled_cannot_go_on_and_gives_its_connection_back(
    engine: AsyncEngine,
) -> None:
    transaction = Transaction(engine)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await transaction.run(text("SELECT pg_sleep(30)"))
    with pytest.raises(UnitOfWorkFailed):
        await transaction.commit()
    await transaction.rollback()
    assert checked_out(engine) == 0
    await ask(engine)
