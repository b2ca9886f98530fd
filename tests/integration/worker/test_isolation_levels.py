"""A service brings what a parked job waits for, at every isolation level: the job is woken, and the service's
transaction commits."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from noteflow.domain.entities import Meeting
from noteflow.infrastructure.persistence.engine import create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.databases import driver_url
from tests.integration.worker.relays import NEVER_S, relaying
from tests.integration.worker.stage import batch, move, open_stage
from tests.integration.worker.test_parking_races import CREATE, Case, Threshold, blocked, create, every_case, is_waiting
from tests.integration.worker.test_relay_outage import LISTENING
from tests.waiting import eventually
from worker.outbox.giving_up import give_up_parked
from worker.outbox.waking import LOOK_AGAIN_S, follow_wake_ups

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from redis.asyncio import Redis
    from sqlalchemy.ext.asyncio import AsyncEngine

    from tests.integration.worker.stage import Stage

LEVELS = ("read_uncommitted", "read_committed", "repeatable_read", "serializable")
SNAPSHOT = ("repeatable_read", "serializable")
every_level = pytest.mark.parametrize("level", LEVELS)
STORE_BATCH = "INSERT INTO batches (meeting_id, batch, part, parts, job_id) VALUES ($1, $2, 1, 1, 'x')"


@dataclass(frozen=True)
class Service:
    """A session of another service, with a transaction that has begun and has its snapshot."""

    session: asyncpg.Connection
    transaction: Any

    async def execute(self, statement: str, *values: Any) -> None:
        await self.session.execute(statement, *values)

    async def commit(self) -> None:
        await self.transaction.commit()


@asynccontextmanager
async def a_service(stage: Stage, level: str) -> AsyncIterator[Service]:
    """Begin at the level with a statement, so that the snapshot is older than all that follows."""
    session = await asyncpg.connect(driver_url(stage.judge.database_url))
    try:
        transaction = session.transaction(isolation=level)
        await transaction.start()
        await session.fetch("SELECT 1")  # of no table: what it reads would count against it at SERIALIZABLE
        yield Service(session, transaction)
    finally:
        await session.close()


async def woken(stage: Stage) -> list[str]:
    """The states of the outbox's rows once a relay has followed every record."""
    while (await follow_wake_ups(stage.engine)).more:
        pass
    assert await stage.judge.ask("SELECT FROM wake_ups") == []
    return list((await stage.outbox()).values())


async def three_batches_expected(stage: Stage, meeting: UUID) -> None:
    """A meeting that is stopped, has one batch of three, and whose completion is parked."""
    await create(stage, meeting)
    for command in (move(meeting, "RECORDING", 1), move(meeting, "STOPPED", 2, expected_batches=3)):
        assert await stage.deliver(command) == "applied"
    assert await stage.deliver(batch(meeting, 0, batch=3)) == "applied"
    assert (await stage.deliver(move(meeting, "COMPLETED", 3))).startswith("parked: 2 batches")


@every_level
@every_case
async def test_a_job_parked_after_the_services_snapshot_is_woken(case: Case, level: str, stage: Stage) -> None:
    meeting = uuid4()
    if case.ready:
        await case.ready(stage, meeting)
    async with asyncio.timeout(30), a_service(stage, level) as service:
        assert (await stage.deliver(case.early(meeting))).startswith("parked: ")
        await service.execute(case.coming, meeting)
        await service.commit()
    assert await woken(stage) == ["waiting"]
    assert await stage.deliver_woken() == 1
    assert await stage.outbox() == {}


@every_level
@every_case
async def test_a_service_that_comes_while_a_job_is_being_parked_wakes_it(case: Case, level: str, stage: Stage) -> None:
    meeting, threshold = uuid4(), Threshold()
    if case.ready:
        await case.ready(stage, meeting)
    async with asyncio.timeout(30), a_service(stage, level) as service:
        parking = asyncio.create_task(stage.with_unit(threshold.within).deliver(case.early(meeting)))
        await threshold.reached.wait()
        coming = asyncio.create_task(service.execute(case.coming, meeting))
        await eventually(lambda: blocked(stage))
        assert not coming.done()
        threshold.go_on.set()
        assert (await parking).startswith("parked: ")
        await coming
        await service.commit()
    assert await woken(stage) == ["waiting"]
    await stage.deliver_woken()
    assert await stage.outbox() == {}


@every_level
@every_case
async def test_a_job_about_to_be_parked_waits_for_the_services_commit(case: Case, level: str, stage: Stage) -> None:
    meeting = uuid4()
    if case.ready:
        await case.ready(stage, meeting)
    async with asyncio.timeout(30), a_service(stage, level) as service:
        await service.execute(case.coming, meeting)
        parking = asyncio.create_task(stage.deliver(case.early(meeting)))
        await eventually(lambda: is_waiting(stage))
        await service.commit()
        assert await parking == "applied"
    assert await woken(stage) == []


@pytest.mark.parametrize("other", LEVELS[1:])
@pytest.mark.parametrize("level", LEVELS[1:])
async def test_the_last_two_batches_wake_the_completion_at_any_two_levels(level: str, other: str, stage: Stage) -> None:
    meeting = uuid4()
    await three_batches_expected(stage, meeting)
    async with asyncio.timeout(30), a_service(stage, level) as first, a_service(stage, other) as second:
        await first.execute(STORE_BATCH, meeting, 1)
        storing = asyncio.create_task(second.execute(STORE_BATCH, meeting, 2))
        if level in SNAPSHOT and other in SNAPSHOT:
            await storing  # two that leave records do not wait for each other
        else:
            await eventually(lambda: blocked(stage))
        await first.commit()
        assert (await follow_wake_ups(stage.engine)).woken == 0
        await storing
        await second.commit()
    assert await woken(stage) == ["waiting"]
    await stage.deliver_woken()
    assert (await stage.judge.meetings())[meeting][0] == "COMPLETED"


@pytest.mark.parametrize("level", SNAPSHOT)
async def test_a_batch_wakes_nothing_but_a_completion(level: str, stage: Stage) -> None:
    meeting = uuid4()
    await create(stage, meeting)
    assert (await stage.deliver(move(meeting, "STOPPED"))).startswith("parked: a state of meeting")
    async with a_service(stage, level) as service:
        await service.execute(STORE_BATCH, meeting, 1)
        await service.commit()
    assert await woken(stage) == ["parked"]


@pytest.mark.parametrize("level", SNAPSHOT)
async def test_a_service_commits_although_the_parked_rows_changed_since_its_snapshot(level: str, stage: Stage) -> None:
    meeting = uuid4()
    await stage.deliver(batch(meeting, 0))
    async with a_service(stage, level) as service:
        await stage.judge.ask("UPDATE outbox SET due_at = due_at + interval '1 s'")
        await service.execute(CREATE, meeting)
        await service.commit()
    assert await woken(stage) == ["waiting"]


async def test_two_serializable_services_do_not_fail_each_other(stage: Stage) -> None:
    """Neither reads what the other writes, so PostgreSQL finds no dependency between them."""
    meetings = [uuid4() for _ in range(2)]
    for meeting in meetings:
        await stage.deliver(batch(meeting, 0))
    async with a_service(stage, "serializable") as first, a_service(stage, "serializable") as second:
        for service, meeting in zip((first, second), meetings, strict=True):
            await service.execute(CREATE, meeting)
        await first.commit()
        await second.commit()
    assert await woken(stage) == ["waiting", "waiting"]


async def test_a_record_of_a_row_that_another_transaction_holds_is_kept_and_waits_for_nothing(stage: Stage) -> None:
    held, other = uuid4(), uuid4()
    for meeting in (held, other):
        await stage.deliver(batch(meeting, 0))
    session = await asyncpg.connect(driver_url(stage.judge.database_url))
    try:
        async with asyncio.timeout(30):
            transaction = session.transaction()
            await transaction.start()
            await session.execute("UPDATE outbox SET state = 'waiting' WHERE meeting_id = $1", held)
            for meeting in (held, other):
                async with a_service(stage, "repeatable_read") as service:
                    await service.execute(CREATE, meeting)
                    await service.commit()
            followed = await follow_wake_ups(stage.engine)
            assert (followed.woken, followed.look_again_s) == (1, LOOK_AGAIN_S)
            await transaction.rollback()
        assert await woken(stage) == ["waiting", "waiting"]
    finally:
        await session.close()


async def test_a_job_is_not_given_up_while_a_record_about_it_is_not_followed(stage: Stage) -> None:
    meeting = uuid4()
    assert (await stage.patient_for(0).deliver(batch(meeting, 0))).startswith("parked: ")
    async with a_service(stage, "serializable") as service:
        await service.execute(CREATE, meeting)
        await service.commit()
    assert await give_up_parked(stage.engine) == []
    assert await woken(stage) == ["waiting"]


@pytest.mark.parametrize("level", SNAPSHOT)
async def test_the_commit_calls_a_relay_that_rests(level: str, stage: Stage, redis: Redis) -> None:
    meeting = uuid4()
    async with asyncio.timeout(30), relaying(stage.engine, redis, rest_s=NEVER_S), a_service(stage, level) as service:
        await eventually(lambda: stage.judge.ask(LISTENING))
        await stage.deliver(batch(meeting, 0))
        await service.execute(CREATE, meeting)
        await service.commit()
        await eventually(lambda: is_dispatched(stage))
        assert await redis.zcard("arq:queue") == 1


@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
async def test_it_holds_for_a_service_with_our_unit_of_work_on_an_engine_of_its_own(level: str, stage: Stage) -> None:
    meeting = Meeting.create(title="Planning")
    engine = create_async_engine(driver_url(stage.judge.database_url).replace(
        "postgresql://", "postgresql+asyncpg://"), isolation_level=level)  # fmt: skip
    try:
        async with SqlAlchemyUnitOfWork(create_session_factory(engine), ".") as uow:
            await uow.meetings.list()  # takes the snapshot
            assert (await stage.deliver(batch(meeting.id, 0))).startswith("parked: ")
            await uow.meetings.create(meeting)
            await uow.commit()
    finally:
        await engine.dispose()
    assert await woken(stage) == ["waiting"]


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
async def test_the_servers_default_level_is_not_ours(level: str, stage: Stage) -> None:
    """A service without a level of its own has the server's; a worker's transactions name theirs."""
    name = (await stage.judge.ask("SELECT current_database() AS name"))[0]["name"]
    await stage.judge.ask(f"ALTER DATABASE {name} SET default_transaction_isolation = '{level}'")
    meeting, threshold = uuid4(), Threshold()
    async with asyncio.timeout(30), open_stage(stage.judge.database_url) as ours:
        assert await levels_of(ours.engine) == {"read committed"}
        session = await asyncpg.connect(driver_url(stage.judge.database_url))
        try:
            assert await session.fetchval("SHOW transaction_isolation") == level
            parking = asyncio.create_task(ours.with_unit(threshold.within).deliver(batch(meeting, 0)))
            await threshold.reached.wait()
            coming = asyncio.create_task(session.execute(CREATE, meeting))
            await eventually(lambda: blocked(stage))
            threshold.go_on.set()
            assert (await parking).startswith("parked: ")
            await coming
        finally:
            await session.close()
        assert await woken(ours) == ["waiting"]
        # The worker's own statements, which are transactions by themselves, wake each other at once.
        await ours.deliver_woken()
        await ours.deliver(move(meeting, "STOPPED", 2))
        assert await ours.deliver(move(meeting, "RECORDING", 1)) == "applied"
        assert list((await ours.outbox()).values()) == ["waiting"]
        assert await stage.judge.ask("SELECT FROM wake_ups") == []


async def is_dispatched(stage: Stage) -> bool:
    return list((await stage.outbox()).values()) == ["dispatched"]


async def levels_of(engine: AsyncEngine) -> set[str]:
    """The level of a transaction, of a statement by itself, and of what asks for AUTOCOMMIT."""
    show = "SELECT current_setting('transaction_isolation') AS level"
    found = set[str]()
    async with engine.begin() as connection:
        found.add(await connection.scalar(text(show)) or "")
    pooled = await engine.raw_connection()
    driver: Any = pooled.driver_connection
    found.add(await driver.fetchval(show))
    pooled.close()
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        found.add(await connection.scalar(text(show)) or "")
    return found
