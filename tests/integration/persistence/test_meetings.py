"""Meetings in a real PostgreSQL: a change is stored only over the version that was read."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker

from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.errors import ConcurrencyConflict, RejectedByStorage
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.integration.persistence.conftest import OpenUnit
from tests.integration.persistence.units import stored_meeting


async def read(unit: OpenUnit, meeting_id: MeetingId) -> Meeting:
    async with unit() as uow:
        meeting = await uow.meetings.get(meeting_id)
        assert meeting is not None
        return meeting


async def test_a_meeting_comes_back_as_it_was_stored(unit: OpenUnit) -> None:
    meeting = Meeting.create(title="Überblick 会議 🎉")
    meeting.start_recording()
    meeting.stop_recording()
    async with unit() as uow:
        await uow.meetings.create(meeting)
        await uow.commit()
    assert await read(unit, meeting.id) == meeting


async def test_an_update_raises_the_version_even_when_nothing_was_changed(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    async with unit() as uow:
        await uow.meetings.update(meeting)
        await uow.commit()
    assert meeting.version == 2
    assert (await read(unit, meeting.id)).version == 2


async def test_an_update_of_a_meeting_changed_meanwhile_names_it(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    mine, theirs = await read(unit, meeting.id), await read(unit, meeting.id)
    async with unit() as uow:
        theirs.title = "Retrospective"
        await uow.meetings.update(theirs)
        await uow.commit()
    async with unit() as uow:
        mine.title = "Planning"
        with pytest.raises(ConcurrencyConflict, match="modified concurrently") as conflict:
            await uow.meetings.update(mine)
    assert isinstance(conflict.value, ValueError)
    assert str(meeting.id) in str(conflict.value)
    assert (await read(unit, meeting.id)).title == "Retrospective"


async def test_of_three_that_race_for_the_same_state_one_wins(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    all_have_read = asyncio.Barrier(3)

    async def start() -> bool:
        async with unit() as uow:
            mine = await uow.meetings.get(meeting.id)
            assert mine is not None
            await all_have_read.wait()
            mine.start_recording()
            try:
                await uow.meetings.update(mine)
                await uow.commit()
            except ConcurrencyConflict as conflict:
                assert "modified concurrently" in str(conflict)
                assert str(meeting.id) in str(conflict)
                return False
            return True

    assert sorted(await asyncio.gather(start(), start(), start())) == [False, False, True]
    assert (await read(unit, meeting.id)).version == 2


async def test_the_segments_of_the_one_that_lost_are_not_stored(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    stale = await read(unit, meeting.id)
    async with unit() as uow:
        await uow.meetings.update(meeting)
        await uow.commit()
    with pytest.raises(ConcurrencyConflict):
        async with unit() as uow:
            await uow.segments.add(meeting.id, Segment(meeting.id, 1, "hello", 0, 1))
            await uow.meetings.update(stale)
            await uow.commit()
    async with unit() as uow:
        assert await uow.segments.get_by_meeting(meeting.id) == []


async def test_an_update_of_a_deleted_meeting_is_a_conflict(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    async with unit() as uow:
        assert await uow.meetings.delete(meeting.id)
        await uow.commit()
    async with unit() as uow:
        with pytest.raises(ConcurrencyConflict, match="or deleted"):
            await uow.meetings.update(meeting)


async def test_deleting_a_meeting_deletes_its_segments_and_says_whether_there_was_one(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    async with unit() as uow:
        await uow.segments.add(meeting.id, Segment(meeting.id, 1, "hello", 0, 1))
        await uow.commit()
    async with unit() as uow:
        assert await uow.meetings.delete(meeting.id)
        assert not await uow.meetings.delete(meeting.id)
        assert await uow.segments.get_by_meeting(meeting.id) == []


async def test_the_same_id_twice_is_refused(unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    async with unit() as uow:
        with pytest.raises(RejectedByStorage, match="meetings_pkey"):
            await uow.meetings.create(meeting)


async def test_meetings_are_listed_the_newest_first_by_state_and_by_page(unit: OpenUnit) -> None:
    async with unit() as uow:
        for day in range(1, 6):
            meeting = Meeting.create(title=f"day {day}")
            meeting.created_at = datetime(2026, 1, day, tzinfo=UTC)
            if day % 2:
                meeting.start_recording()
            await uow.meetings.create(meeting)
        await uow.commit()
    async with unit() as uow:
        titles = [meeting.title for meeting in await uow.meetings.list(limit=2, offset=1)]
        recording = [meeting.title for meeting in await uow.meetings.list(states=[MeetingState.RECORDING])]
        assert titles == ["day 4", "day 3"]
        assert recording == ["day 5", "day 3", "day 1"]
        assert await uow.meetings.count_by_state() == dict.fromkeys(MeetingState, 0) | {
            MeetingState.CREATED: 2,
            MeetingState.RECORDING: 3,
        }
        assert await uow.meetings.count_by_state(MeetingState.RECORDING) == 3
        assert await uow.meetings.count_by_state(MeetingState.ERROR) == 0


async def test_a_unit_that_locks_makes_the_next_one_wait_and_then_see_its_change(
    unit: OpenUnit, session_factory: async_sessionmaker[AsyncSession], tmp_path: Path
) -> None:
    meeting = await stored_meeting(unit)
    order: list[str] = []

    async def locking(name: str) -> int:
        async with SqlAlchemyUnitOfWork(session_factory, tmp_path, lock_meetings=True) as uow:
            mine = await uow.meetings.get(meeting.id)
            assert mine is not None
            order.append(name)
            # Segments of the meeting are not kept waiting by its lock.
            async with unit() as ingesting:
                await ingesting.segments.add(meeting.id, Segment(meeting.id, len(order), "hello", 0, 1))
                await ingesting.commit()
            await uow.meetings.update(mine)
            await uow.commit()
            return mine.version

    assert sorted(await asyncio.gather(locking("first"), locking("second"))) == [2, 3]
