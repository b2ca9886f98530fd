"""A job is parked at the very moment at which what it waits for comes: it is woken, or never sleeps."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from noteflow.domain.commands import ChangeMeetingState, Command
from tests.databases import driver_url
from tests.integration.worker.stage import Stage, batch, move
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

BLOCKED = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"


@dataclass(frozen=True)
class Case:
    """What is early, and what it waits for: a job, or a statement that does the same within a transaction."""

    early: Callable[[UUID], Command]
    come: Callable[[Stage, UUID], Awaitable[Any]]
    coming: str
    ready: Callable[[Stage, UUID], Awaitable[Any]] | None = None


async def create(stage: Stage, meeting: UUID) -> None:
    await stage.judge.ask(CREATE, meeting)


async def stopped_with_two_batches(stage: Stage, meeting: UUID) -> None:
    for command in (move(meeting, "RECORDING", 1), move(meeting, "STOPPED", 2, expected_batches=2)):
        assert await stage.deliver(command) == "applied"
    assert await stage.deliver(batch(meeting, 0, batch=1)) == "applied"


CREATE = (
    "INSERT INTO meetings (id, title, state, version, sequence, created_at) VALUES ($1, 'New', 'CREATED', 1, 0, now())"
)
CASES = {
    "a meeting": Case(lambda meeting: batch(meeting, 0), create, CREATE),
    "a state change": Case(
        lambda meeting: move(meeting, "STOPPED", 2),
        lambda stage, meeting: stage.deliver(move(meeting, "RECORDING", 1)),
        "UPDATE meetings SET state = 'RECORDING', sequence = 1, version = version + 1 WHERE id = $1",
        create,
    ),
    "a batch": Case(
        lambda meeting: move(meeting, "COMPLETED", 3),
        lambda stage, meeting: stage.deliver(batch(meeting, 9, batch=2)),
        "INSERT INTO batches (meeting_id, batch, part, parts, job_id) VALUES ($1, 2, 1, 1, 'second')",
        lambda stage, meeting: _both(stage, meeting),
    ),
}
every_case = pytest.mark.parametrize("case", CASES.values(), ids=CASES)


async def _both(stage: Stage, meeting: UUID) -> None:
    await create(stage, meeting)
    await stopped_with_two_batches(stage, meeting)


@dataclass
class Threshold:
    """Stops whoever is about to park, with the lock in hand, until told to go on."""

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    go_on: asyncio.Event = field(default_factory=asyncio.Event)

    def within(self, uow: Any) -> Any:
        park = uow.parking.park

        async def held(*arguments: Any) -> None:
            self.reached.set()
            await self.go_on.wait()
            await park(*arguments)

        uow.parking.park = held
        return uow


@every_case
async def test_what_comes_while_a_job_is_being_parked_waits_for_that_and_wakes_it(case: Case, stage: Stage) -> None:
    meeting, threshold = uuid4(), Threshold()
    if case.ready:
        await case.ready(stage, meeting)
    async with asyncio.timeout(30):
        parking = asyncio.create_task(stage.with_unit(threshold.within).deliver(case.early(meeting)))
        await threshold.reached.wait()
        coming = asyncio.create_task(_wrap(case.come(stage, meeting)))
        await eventually(lambda: blocked(stage))
        assert not coming.done()

        threshold.go_on.set()
        assert (await parking).startswith("parked: ")
        await coming
    assert list((await stage.outbox()).values()) == ["waiting"]
    assert await stage.deliver_woken() == 1
    assert await stage.outbox() == {}
    assert "applied" in (await stage.ledger()).values()


@every_case
async def test_a_job_about_to_be_parked_waits_for_what_is_just_coming_and_is_applied(case: Case, stage: Stage) -> None:
    meeting = uuid4()
    if case.ready:
        await case.ready(stage, meeting)
    connection = await asyncpg.connect(driver_url(stage.judge.database_url))
    try:
        async with asyncio.timeout(30):
            transaction = connection.transaction()
            await transaction.start()
            await connection.execute(case.coming, meeting)
            # Segments of a meeting that is just being created wait for it by their foreign key already.
            parking = asyncio.create_task(stage.deliver(case.early(meeting)))
            await eventually(lambda: is_waiting(stage))
            await transaction.commit()
            assert await parking == "applied"
    finally:
        await connection.close()
    assert await stage.outbox() == {}


async def test_the_last_two_batches_come_at_once_and_neither_misses_the_other(stage: Stage) -> None:
    meeting = uuid4()
    await create(stage, meeting)
    for command in (move(meeting, "RECORDING", 1), move(meeting, "STOPPED", 2, expected_batches=2)):
        await stage.deliver(command)
    completed = move(meeting, "COMPLETED", 3)
    assert await stage.deliver(completed) == f"parked: 2 batches of meeting {meeting} (1, 2)"

    first, second = [await asyncpg.connect(driver_url(stage.judge.database_url)) for _ in range(2)]
    insert = "INSERT INTO batches (meeting_id, batch, part, parts, job_id) VALUES ($1, $2, 1, 1, 'x')"
    try:
        async with asyncio.timeout(30):
            one, other = first.transaction(), second.transaction()
            await one.start()
            await other.start()
            await first.execute(insert, meeting, 1)
            inserting = asyncio.create_task(second.execute(insert, meeting, 2))
            await eventually(lambda: blocked(stage))
            await one.commit()
            await inserting
            await other.commit()
    finally:
        await first.close()
        await second.close()
    assert list((await stage.outbox()).values()) == ["waiting"]
    await stage.deliver_woken()
    assert (await stage.judge.meetings())[meeting][0] == "COMPLETED"


async def test_numbered_batches_do_not_wait_for_each_other_while_nobody_waits_for_them(stage: Stage) -> None:
    meeting = uuid4()
    await create(stage, meeting)
    connection = await asyncpg.connect(driver_url(stage.judge.database_url))
    try:
        async with asyncio.timeout(30), connection.transaction():
            await connection.execute(CASES["a batch"].coming, meeting)
            assert await stage.deliver(batch(meeting, 0, batch=1)) == "applied"
    finally:
        await connection.close()


async def test_a_batch_does_not_disturb_jobs_that_wait_for_something_else(stage: Stage) -> None:
    meeting = uuid4()
    await create(stage, meeting)
    early: ChangeMeetingState = move(meeting, "STOPPED")
    assert (await stage.deliver(early)).startswith("parked: a state of meeting")
    assert await stage.deliver(batch(meeting, 0, batch=1)) == "applied"
    assert list((await stage.outbox()).values()) == ["parked"]


async def blocked(stage: Stage) -> bool:
    return bool((await stage.judge.ask(BLOCKED))[0]["count"])


async def is_waiting(stage: Stage) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool((await stage.judge.ask(waiting))[0]["count"])


async def _wrap(awaitable: Awaitable[Any]) -> Any:
    return await awaitable
