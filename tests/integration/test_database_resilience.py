"""What a service may expect of the unit of work when many of them run at once, and when one goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from time import monotonic

import pytest
from sqlalchemy import func, select, text
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.errors import ConcurrencyConflict
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.tables import meetings
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.integration.persistence.units import checked_out

pytestmark = pytest.mark.integration

NewUnit = Callable[[], SqlAlchemyUnitOfWork]


@pytest.fixture
def new_unit(session_factory: async_sessionmaker[AsyncSession], meetings_dir: Path) -> NewUnit:
    return lambda: SqlAlchemyUnitOfWork(session_factory, meetings_dir)


async def create(new_unit: NewUnit, title: str = "Standup") -> Meeting:
    async with new_unit() as uow:
        meeting = await uow.meetings.create(Meeting.create(title=title))
        await uow.commit()
    return meeting


async def stored(new_unit: NewUnit, meeting_id: MeetingId) -> Meeting | None:
    async with new_unit() as uow:
        return await uow.meetings.get(meeting_id)


async def test_five_units_at_once_hold_a_connection_each(new_unit: NewUnit, engine: AsyncEngine) -> None:
    all_hold_one = asyncio.Barrier(5)

    async def create_together(number: int) -> Meeting:
        async with new_unit() as uow:
            meeting = await uow.meetings.create(Meeting.create(title=f"meeting {number}"))
            await all_hold_one.wait()
            assert checked_out(engine) == 5
            await all_hold_one.wait()
            await uow.commit()
        return meeting

    async with asyncio.timeout(30):
        made = await asyncio.gather(*(create_together(number) for number in range(5)))
    assert [await stored(new_unit, meeting.id) for meeting in made] == made


async def test_eight_units_over_a_pool_of_five_all_finish_within_five_seconds(new_unit: NewUnit) -> None:
    async def hold(number: int) -> int:
        async with new_unit() as uow:
            await uow.meetings.create(Meeting.create(title=f"meeting {number}"))
            await asyncio.sleep(0.1)
            await uow.commit()
        return number

    began = monotonic()
    assert await asyncio.gather(*(hold(number) for number in range(8))) == list(range(8))
    assert monotonic() - began < 5


async def test_twenty_units_in_a_row_return_their_connections(new_unit: NewUnit, engine: AsyncEngine) -> None:
    made = [await create(new_unit, f"meeting {number}") for number in range(20)]
    assert [await stored(new_unit, meeting.id) for meeting in made] == made
    assert checked_out(engine) == 0


async def test_leaving_without_commit_rolls_back(new_unit: NewUnit) -> None:
    async with new_unit() as uow:
        meeting = await uow.meetings.create(Meeting.create(title="Standup"))
    assert await stored(new_unit, meeting.id) is None


async def test_an_explicit_rollback_stores_nothing(new_unit: NewUnit) -> None:
    async with new_unit() as uow:
        meeting = await uow.meetings.create(Meeting.create(title="Standup"))
        await uow.rollback()
    assert await stored(new_unit, meeting.id) is None


async def test_a_commit_persists(new_unit: NewUnit) -> None:
    meeting = await create(new_unit)
    assert await stored(new_unit, meeting.id) == meeting


async def test_three_racing_updates_succeed_or_are_refused_as_modified_concurrently(new_unit: NewUnit) -> None:
    meeting = await create(new_unit)
    all_have_read = asyncio.Barrier(3)

    async def update(title: str) -> str:
        async with new_unit() as uow:
            mine = await uow.meetings.get(meeting.id)
            assert mine is not None
            await all_have_read.wait()
            mine.title = title
            await uow.meetings.update(mine)
            await uow.commit()
        return title

    async with asyncio.timeout(30):
        results = await asyncio.gather(*(update(f"title {number}") for number in range(3)), return_exceptions=True)
    won = [result for result in results if isinstance(result, str)]
    lost = [result for result in results if not isinstance(result, str)]
    assert len(won) == 1
    assert [type(error) for error in lost] == [ConcurrencyConflict] * 2
    assert all("modified concurrently" in str(error) and isinstance(error, ValueError) for error in lost)
    after = await stored(new_unit, meeting.id)
    assert after is not None
    assert (after.title, after.version) == (won[0], 2)


async def test_ten_concurrent_creates_have_ten_ids(new_unit: NewUnit) -> None:
    made = await asyncio.gather(*(create(new_unit, f"meeting {number}") for number in range(10)))
    assert len({meeting.id for meeting in made}) == 10
    assert [await stored(new_unit, meeting.id) for meeting in made] == made


async def test_work_goes_on_after_the_server_ended_an_idle_connection(new_unit: NewUnit, database_url: str) -> None:
    first = await create(new_unit)
    assert await _end_idle_sessions(database_url) == [True]
    assert await stored(new_unit, first.id) == first


async def test_an_uncommitted_meeting_is_invisible_to_another_unit(new_unit: NewUnit) -> None:
    async with new_unit() as writer:
        meeting = await writer.meetings.create(Meeting.create(title="Standup"))
        assert await stored(new_unit, meeting.id) is None
        await writer.commit()
    assert await stored(new_unit, meeting.id) == meeting


async def test_fifty_single_adds_in_one_unit_are_all_stored(new_unit: NewUnit) -> None:
    meeting = await create(new_unit)
    spoken = [Segment(meeting.id, place, f"segment {place}", place, place + 1) for place in range(50)]
    async with new_unit() as uow:
        for segment in spoken:
            await uow.segments.add(meeting.id, segment)
        await uow.commit()
    async with new_unit() as uow:
        assert list(await uow.segments.get_by_meeting(meeting.id)) == spoken


async def test_work_goes_on_after_a_rollback(new_unit: NewUnit) -> None:
    async with new_unit() as uow:
        left = await uow.meetings.create(Meeting.create(title="left"))
        await uow.rollback()
        kept = await uow.meetings.create(Meeting.create(title="kept"))
        kept.move_to(MeetingState.RECORDING)
        await uow.meetings.update(kept)
        await uow.commit()
    assert await stored(new_unit, left.id) is None
    assert await stored(new_unit, kept.id) == kept


async def test_work_goes_on_after_the_engine_was_disposed(new_unit: NewUnit, engine: AsyncEngine) -> None:
    before = await create(new_unit, "before")
    await engine.dispose()
    assert await stored(new_unit, before.id) == before
    await create(new_unit, "after")
    async with engine.connect() as connection:
        assert (await connection.execute(select(func.count()).select_from(meetings))).scalar_one() == 2


async def _end_idle_sessions(database_url: str) -> list[bool]:
    """End every other session of the database, as a firewall or an administrator would, and wait until each is gone."""
    others = (
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    administrator = create_engine(database_url, pool_size=1)
    try:
        async with administrator.connect() as connection:
            return list((await connection.execute(text(others))).scalars())
    finally:
        await administrator.dispose()
