"""Faults in the middle of work, caused for real: waiting, or another attempt, cures each of them."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.entities import Meeting
from noteflow.domain.errors import (
    ConcurrencyConflict,
    StorageUnavailable,
)
from noteflow.infrastructure.persistence.engine import create_session_factory
from noteflow.infrastructure.persistence.transaction import Transaction
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.integration.persistence.conftest import OpenUnit
from tests.integration.persistence.faulty import an_engine, ask
from tests.integration.persistence.units import stored_meeting
from tests.proxy import Proxy


async def test_a_statement_that_takes_too_long(database_url: str) -> None:
    async with an_engine(database_url, command_timeout_s=0.1) as engine:
        with pytest.raises(StorageUnavailable, match="in time"):
            await ask(engine, "SELECT pg_sleep(30)")
        await ask(engine)


async def test_a_lock_that_somebody_else_holds(database_url: str, unit: OpenUnit) -> None:
    meeting = await stored_meeting(unit)
    async with an_engine(database_url, lock_timeout_s=0.1) as engine, unit() as holder:
        await holder.meetings.update(meeting)
        with pytest.raises(ConcurrencyConflict, match="55P03"):
            await ask(engine, "SELECT 1 FROM meetings FOR UPDATE")


async def test_a_deadlock(engine: AsyncEngine, unit: OpenUnit) -> None:
    first, second = await stored_meeting(unit, "first"), await stored_meeting(unit, "second")
    both_hold_one = asyncio.Barrier(2)

    async def cross(one: Meeting, other: Meeting) -> bool:
        async with unit() as uow:
            await uow.meetings.update(replace(one))
            await both_hold_one.wait()
            try:
                await uow.meetings.update(replace(other))
            except ConcurrencyConflict as conflict:
                return "40P01" not in str(conflict)
            return True

    assert sorted(await asyncio.gather(cross(first, second), cross(second, first))) == [False, True]


async def test_a_serialization_failure_at_the_commit(engine: AsyncEngine) -> None:
    await ask(engine, "CREATE TABLE counters AS SELECT 1 AS count")
    one, other = Transaction(engine), Transaction(engine)
    for transaction in (one, other):
        await transaction.run(text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
        await transaction.run(text("SELECT sum(count) FROM counters"))
    await one.run(text("INSERT INTO counters VALUES (1)"))
    await other.run(text("INSERT INTO counters VALUES (1)"))
    await one.commit()
    with pytest.raises(ConcurrencyConflict, match="40001"):
        await other.commit()
    await one.rollback()
    await other.rollback()


async def test_a_read_only_server_costs_the_connection_its_place_in_the_pool(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1) as engine:
        transaction = Transaction(engine)
        await transaction.run(text("SET TRANSACTION READ ONLY"))
        before = (await transaction.run(text("SELECT pg_backend_pid()"))).scalar()
        with pytest.raises(StorageUnavailable, match="25006"):
            await transaction.run(text("CREATE TABLE anything ()"))
        await transaction.rollback()
        async with engine.connect() as connection:
            assert await connection.scalar(text("SELECT pg_backend_pid()")) != before


@pytest.mark.parametrize("moment", ["idle in the pool", "idle in a transaction", "in a statement"])
async def test_a_backend_is_terminated(database_url: str, engine: AsyncEngine, moment: str) -> None:
    async with an_engine(database_url, pool_size=1, application_name="victim") as victims:
        transaction = Transaction(victims)
        await transaction.run(text("SELECT 1"))
        if moment == "in a statement":
            working = asyncio.create_task(transaction.run(text("SELECT pg_sleep(30)")))
            await terminate(engine, "victim", "active")
            with pytest.raises(StorageUnavailable):
                await working
        elif moment == "idle in a transaction":
            await terminate(engine, "victim", "idle in transaction")
            with pytest.raises(StorageUnavailable):
                await transaction.run(text("SELECT 1"))
        else:
            await transaction.rollback()
            await terminate(engine, "victim", "idle")
        await transaction.rollback()
        await ask(victims)  # the pool has recovered, in each case


async def terminate(engine: AsyncEngine, name: str, state: str) -> None:
    """Terminate the backends of that name once they are in that state, and wait until they are gone."""
    async with engine.connect() as admin:
        await admin.execution_options(isolation_level="AUTOCOMMIT")
        terminated = 0
        while not terminated:
            terminated = await admin.scalar(
                text("SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity"
                     " WHERE application_name = :name AND state = :state AND query NOT LIKE '%pg_terminate%'"),
                {"name": name, "state": state},
            )  # fmt: skip


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_commit_whose_answer_is_lost_says_nothing_about_whether_it_happened(
    own_postgres: Any, when: Any, tmp_path: Path
) -> None:
    server = own_postgres(tcp=True)
    async with Proxy(server.url("noteflow")) as proxy, an_engine(proxy.url) as engine:
        factory = create_session_factory(engine)
        meeting = Meeting.create(title="Standup")
        async with SqlAlchemyUnitOfWork(factory, tmp_path) as uow:
            await uow.meetings.create(meeting)
            cut = proxy.on(b"COMMIT", "reset", when=when)
            with pytest.raises(StorageUnavailable):
                await uow.commit()
        assert cut.done == 1
        async with SqlAlchemyUnitOfWork(factory, tmp_path) as uow:
            assert (await uow.meetings.get(meeting.id) is not None) == (when == "after")


async def test_silence_is_ended_by_the_command_timeout(own_postgres: Any) -> None:
    server = own_postgres(tcp=True)
    async with Proxy(server.url("noteflow")) as proxy, an_engine(proxy.url, command_timeout_s=0.3) as engine:
        await ask(engine)
        proxy.hang()
        with pytest.raises(StorageUnavailable, match="in time"):
            await ask(engine)
        await proxy.heal()
        await ask(engine)


async def test_the_schema_changes_under_a_prepared_statement(engine: AsyncEngine) -> None:
    await ask(engine, "CREATE TABLE things AS SELECT 1 AS id")
    transaction = Transaction(engine)
    await transaction.run(text("SELECT * FROM things"))
    await transaction.commit()
    await ask(engine, "ALTER TABLE things ADD COLUMN name text")
    with pytest.raises(StorageUnavailable, match="schema changed"):
        await transaction.run(text("SELECT * FROM things"))
    await transaction.rollback()
    await ask(engine, "SELECT * FROM things")
