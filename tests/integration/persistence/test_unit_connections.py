"""How units share the pool, and what they do about connections that broke."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, async_sessionmaker

from noteflow.domain.entities import Meeting, Segment
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.integration.persistence.conftest import OpenUnit
from tests.integration.persistence.units import checked_out, stored_meeting
from tests.waiting import eventually


async def test_as_many_units_as_the_pool_allows_run_at_once_and_more_wait_and_finish(
    unit: OpenUnit, engine: AsyncEngine
) -> None:
    all_hold_one, finished = asyncio.Barrier(6), []

    async def hold() -> None:
        async with unit() as uow:
            await uow.meetings.list()
            await all_hold_one.wait()
            finished.append("held")

    async def wait() -> None:
        async with unit() as uow:
            await uow.meetings.list()
            finished.append("waited")

    async with asyncio.TaskGroup() as tasks:
        for _ in range(5):
            tasks.create_task(hold())
        await eventually(lambda: all_hold_one.n_waiting == 5)
        assert checked_out(engine) == 5
        for _ in range(5):
            tasks.create_task(wait())
        await all_hold_one.wait()
    assert sorted(finished) == ["held"] * 5 + ["waited"] * 5


async def test_connections_come_back_to_the_pool_after_twenty_units_in_a_row(
    unit: OpenUnit, engine: AsyncEngine
) -> None:
    for number in range(20):
        async with unit() as uow:
            meeting = await uow.meetings.create(Meeting.create(title=f"meeting {number}"))
            await uow.segments.add(meeting.id, Segment(meeting.id, 1, "hello", 0, 1))
            if number % 2:
                await uow.commit()
    assert checked_out(engine) == 0
    assert engine.pool.checkedin() == 1  # type: ignore[attr-defined]  # of QueuePool


async def test_a_cancelled_unit_gives_its_connection_back(unit: OpenUnit, engine: AsyncEngine) -> None:
    entered = asyncio.Event()

    async def stay() -> None:
        async with unit() as uow:
            await uow.meetings.list()
            entered.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(stay())
    await entered.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await eventually(lambda: checked_out(engine) == 0)


async def test_an_idle_unit_holds_no_connection(unit: OpenUnit, engine: AsyncEngine) -> None:
    async with unit():
        assert checked_out(engine) == 0


async def test_units_work_after_the_pool_was_disposed(unit: OpenUnit, engine: AsyncEngine) -> None:
    meeting = await stored_meeting(unit)
    await engine.dispose()
    async with unit() as uow:
        assert await uow.meetings.get(meeting.id) == meeting


async def test_units_work_after_every_server_connection_was_terminated(unit: OpenUnit, engine: AsyncEngine) -> None:
    async def hold_one() -> None:
        async with unit() as uow:
            await uow.meetings.list()
            await everybody_has_one.wait()

    everybody_has_one = asyncio.Barrier(4)
    await asyncio.gather(*(hold_one() for _ in range(4)))
    async with engine.connect() as connection:
        await connection.execute(
            text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
                 " AND datname = current_database()")
        )  # fmt: skip
    await asyncio.gather(*(stored_meeting(unit) for _ in range(4)))


async def test_a_factory_that_is_not_bound_to_an_async_engine_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TypeError, match="AsyncEngine"):
        SqlAlchemyUnitOfWork(async_sessionmaker(), tmp_path)
