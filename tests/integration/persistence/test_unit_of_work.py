"""What the unit of work promises, on a real PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.errors import MeetingNotFound, RejectedByStorage
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.integration.persistence.conftest import OpenUnit
from tests.integration.persistence.units import checked_out, stored_meeting


async def test_leaving_without_a_commit_stores_nothing(unit: OpenUnit) -> None:
    async with unit() as uow:
        meeting = await uow.meetings.create(Meeting.create(title="Standup"))
    async with unit() as uow:
        assert await uow.meetings.get(meeting.id) is None


async def test_an_error_inside_stores_nothing_and_passes_through(unit: OpenUnit) -> None:
    meeting = Meeting.create(title="Standup")
    with pytest.raises(RuntimeError, match="in the middle"):
        async with unit() as uow:
            await uow.meetings.create(meeting)
            raise RuntimeError("in the middle")
    async with unit() as uow:
        assert await uow.meetings.get(meeting.id) is None


async def test_an_explicit_rollback_reverts_and_the_unit_begins_anew(unit: OpenUnit) -> None:
    first, second = Meeting.create(title="first"), Meeting.create(title="second")
    async with unit() as uow:
        await uow.meetings.create(first)
        await uow.rollback()
        assert await uow.meetings.get(first.id) is None
        await uow.meetings.create(second)
        await uow.commit()
    async with unit() as uow:
        assert [meeting.title for meeting in await uow.meetings.list()] == ["second"]


async def test_a_rollback_forgets_segments_that_were_only_collected(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    async with unit() as uow:
        await uow.segments.add(meeting.id, Segment(meeting.id, 1, "hello", 0, 1))
        await uow.rollback()
        await uow.commit()
    async with unit() as uow:
        assert await uow.segments.get_by_meeting(meeting.id) == []


async def test_a_commit_is_seen_by_others_and_not_before(unit: OpenUnit) -> None:
    meeting = Meeting.create(title="Standup")
    async with unit() as writer, unit() as reader:
        await writer.meetings.create(meeting)
        assert await reader.meetings.get(meeting.id) is None
        await reader.rollback()
        await writer.commit()
        assert await reader.meetings.get(meeting.id) == meeting


async def test_a_unit_reads_what_it_has_collected_before_it_commits(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    segment = Segment(meeting.id, 1, "hello", 0.0, 1.0)
    async with unit() as uow, unit() as other:
        await uow.segments.add(meeting.id, segment)
        assert await uow.segments.get_by_meeting(meeting.id) == [segment]
        assert await other.segments.get_by_meeting(meeting.id) == []


async def test_a_unit_can_commit_more_than_once(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    async with unit() as uow:
        for place in range(3):
            await uow.segments.add(meeting.id, Segment(meeting.id, place, "hello", place, place + 1))
            await uow.commit()
    async with unit() as uow:
        assert len(await uow.segments.get_by_meeting(meeting.id)) == 3


async def test_two_units_are_independent(unit: OpenUnit) -> None:
    async with unit() as kept, unit() as left:
        kept_meeting = await kept.meetings.create(Meeting.create(title="kept"))
        left_meeting = await left.meetings.create(Meeting.create(title="left"))
        await kept.commit()
    async with unit() as uow:
        assert await uow.meetings.get(kept_meeting.id) is not None
        assert await uow.meetings.get(left_meeting.id) is None


async def test_after_an_error_of_the_database_the_same_unit_and_the_next_one_work(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    async with unit() as uow:
        with pytest.raises(RejectedByStorage):
            await uow.meetings.create(meeting)
        await uow.rollback()
        assert await uow.meetings.get(meeting.id) == meeting
    await stored_meeting(unit, "another")


async def test_a_commit_that_fails_stores_nothing_and_the_next_unit_works(unit: OpenUnit) -> None:
    meeting, nobody = await stored_meeting(unit), MeetingId(uuid4())
    with pytest.raises(MeetingNotFound, match=str(nobody)):
        async with unit() as uow:
            await uow.segments.add(meeting.id, Segment(meeting.id, 1, "hello", 0, 1))
            await uow.segments.add(nobody, Segment(nobody, 1, "hello", 0, 1))
            await uow.commit()
    async with unit() as uow:
        assert await uow.segments.get_by_meeting(meeting.id) == []


async def test_ten_concurrent_creates_have_ten_ids(unit: OpenUnit) -> None:
    meetings = await asyncio.gather(*(stored_meeting(unit, f"meeting {number}") for number in range(10)))
    async with unit() as uow:
        assert {meeting.id for meeting in await uow.meetings.list()} == {meeting.id for meeting in meetings}
        assert len({meeting.id for meeting in meetings}) == 10


Statement = Callable[[SqlAlchemyUnitOfWork, Meeting], Awaitable[Any]]
STATEMENTS: list[Statement] = [
    lambda uow, meeting: uow.meetings.create(meeting),
    lambda uow, meeting: uow.meetings.get(meeting.id),
    lambda uow, meeting: uow.meetings.update(meeting),
    lambda uow, meeting: uow.segments.add(meeting.id, Segment(meeting.id, 1, "hello", 0, 1)),
    lambda uow, meeting: uow.segments.get_by_meeting(meeting.id),
    lambda uow, meeting: uow.jobs.enqueue(ChangeMeetingState(meeting.id, MeetingState.RECORDING)),
    lambda uow, meeting: uow.commit(),
]


@pytest.mark.parametrize("statement", STATEMENTS)
async def test_a_unit_refuses_statements_outside_its_block_and_takes_no_connection(
    statement: Statement, unit: OpenUnit, engine: AsyncEngine
) -> None:
    meeting, uow = Meeting.create(title="Standup"), unit()
    with pytest.raises(RuntimeError, match="use it within its `async with`"):
        await statement(uow, meeting)
    async with uow:
        await uow.meetings.list()
    with pytest.raises(RuntimeError, match="use it within its `async with`"):
        await statement(uow, meeting)
    await uow.rollback()  # asks nothing, so it may come again, and opens nothing
    with pytest.raises(RuntimeError, match="use it within its `async with`"):
        await statement(uow, meeting)
    assert checked_out(engine) == 0


async def test_what_was_refused_outside_is_not_stored_when_the_unit_is_entered(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    uow = unit()
    for statement in STATEMENTS[2:4]:
        with pytest.raises(RuntimeError):
            await statement(uow, meeting)
    async with uow:
        await uow.segments.add(meeting.id, Segment(meeting.id, 2, "hello", 0, 1))
        await uow.commit()
        assert [segment.segment_id for segment in await uow.segments.get_by_meeting(meeting.id)] == [2]
        assert await uow.meetings.get(meeting.id) == meeting
