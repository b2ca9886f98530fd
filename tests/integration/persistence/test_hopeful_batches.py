"""Batches that hope to be the first, and are not: the outcome is what it would have been without hope."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import asyncpg
import pytest
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from noteflow.domain.entities import Segment
from noteflow.domain.errors import ConflictingContent, MeetingNotFound
from noteflow.domain.outcomes import AlreadyApplied, Applied, Outcome
from noteflow.domain.ports import Tally
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.persistence.ledger import JobIdentity
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from tests.databases import driver_url
from tests.integration.persistence.conftest import OpenUnit
from tests.integration.persistence.spoken import a_segment, add, read, statements_of
from tests.integration.persistence.units import stored_meeting
from tests.waiting import eventually

MANY = 50
Done = Callable[[Sequence[Segment]], Coroutine[Any, Any, tuple[Outcome, Tally]]]


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[asyncpg.Connection[Any]]:
    """Somebody else's session."""
    session = await asyncpg.connect(driver_url(database_url))
    yield session
    await session.close()


@asynccontextmanager
async def storing(other: asyncpg.Connection[Any], meeting: MeetingId, text: str) -> AsyncIterator[None]:
    """Another transaction has stored segment 7 and commits at the end, once somebody waits for it."""
    async with other.transaction():
        await other.execute(
            "INSERT INTO segments (meeting_id, segment_id, revision, start_time, end_time, text, late)"
            " VALUES ($1, 7, 0, 7, 8.5, $2, false)",
            meeting, text,
        )  # fmt: skip
        yield
        await eventually(lambda: is_waited_for(other))


async def is_waited_for(other: asyncpg.Connection[Any]) -> bool:
    waiting: bool = await other.fetchval(
        "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid)))"
    )
    return waiting


@pytest.fixture
def done(session_factory: async_sessionmaker[AsyncSession], tmp_path: Path) -> Done:
    """Does the one job: stores its segments and finishes it."""

    async def do(segments: Sequence[Segment]) -> tuple[Outcome, Tally]:
        meeting = segments[0].meeting_id
        job = JobIdentity("job-1", "job-1", "ingest_segments", meeting, "d" * 32, 1, "w", datetime.now(UTC))
        async with SqlAlchemyUnitOfWork(session_factory, tmp_path, job=job) as uow:
            tally = await uow.segments.add_batch(meeting, segments)
            return await uow.finish(Applied(tally)), tally

    return do


async def inserts(statements: list[str]) -> list[bool]:
    """Each statement that stored segments, and whether it hoped."""
    await asyncio.sleep(0)  # the driver tells its loggers in the loop's next turn
    return ["hoped" in statement for statement in statements if "INSERT INTO segments" in statement]


async def test_what_another_transaction_stored_at_the_same_moment_is_met_by_a_second_statement(
    unit: OpenUnit, engine: AsyncEngine, other: asyncpg.Connection[Any]
) -> None:
    meeting = await stored_meeting(unit)
    statements = await statements_of(engine)
    batch = [a_segment(meeting.id, number) for number in range(MANY)]
    async with storing(other, meeting.id, "hello"):
        adding = asyncio.create_task(add(unit, *batch))
    assert await adding == Tally(stored=MANY - 1, unchanged=1)
    assert await read(unit, meeting.id) == batch
    assert await inserts(statements) == [True, False]


async def test_other_content_that_was_stored_at_the_same_moment_is_a_contradiction(
    unit: OpenUnit, other: asyncpg.Connection[Any]
) -> None:
    meeting = await stored_meeting(unit)
    async with storing(other, meeting.id, "something else"):
        adding = asyncio.create_task(add(unit, *(a_segment(meeting.id, number) for number in range(MANY))))
    with pytest.raises(ConflictingContent, match="segment 7 "):
        await adding
    assert len(await read(unit, meeting.id)) == 1


async def test_a_job_that_was_outraced_is_in_the_ledger_once_and_is_known_when_it_comes_again(
    unit: OpenUnit,
    done: Done,
    other: asyncpg.Connection[Any],
) -> None:
    meeting = await stored_meeting(unit)
    batch = [a_segment(meeting.id, number) for number in range(MANY)]

    async with storing(other, meeting.id, "hello"):
        working = asyncio.create_task(done(batch))
    outcome, tally = await working
    assert isinstance(outcome, Applied)
    assert tally == Tally(stored=MANY - 1, unchanged=1)
    assert isinstance((await done(batch))[0], AlreadyApplied)
    assert await other.fetchval("SELECT count(*) FROM job_ledger") == 1
    assert await read(unit, meeting.id) == batch


async def test_a_batch_that_overlaps_what_is_stored_is_sent_again(unit: OpenUnit, engine: AsyncEngine) -> None:
    meeting = await stored_meeting(unit)
    statements = await statements_of(engine)
    await add(unit, *(a_segment(meeting.id, number) for number in range(10, 10 + MANY)))
    overlapping = [a_segment(meeting.id, number) for number in range(20)]
    assert await add(unit, *overlapping) == Tally(stored=10, unchanged=10)
    assert await inserts(statements) == [True, True, False]


async def test_a_batch_that_corrects_something_does_not_hope(unit: OpenUnit, engine: AsyncEngine) -> None:
    meeting = await stored_meeting(unit)
    statements = await statements_of(engine)
    await add(unit, *(a_segment(meeting.id, number) for number in range(MANY)))
    corrected = [a_segment(meeting.id, number, revision=int(number == 7)) for number in range(MANY + 10)]
    assert await add(unit, *corrected) == Tally(stored=10, replaced=1, unchanged=MANY - 1)
    assert await inserts(statements) == [True, False]


async def test_a_unit_that_has_corrected_something_hopes_again(unit: OpenUnit, engine: AsyncEngine) -> None:
    meeting = await stored_meeting(unit)
    statements = await statements_of(engine)
    async with unit() as uow:
        await uow.segments.add(meeting.id, a_segment(meeting.id, 1, revision=1))
        await uow.commit()
        await uow.segments.add_batch(meeting.id, [a_segment(meeting.id, number) for number in range(2, MANY)])
        await uow.commit()
    assert await inserts(statements) == [False, True]


async def test_a_job_that_is_known_stores_nothing_though_nothing_of_its_batch_is_stored_any_more(
    unit: OpenUnit,
    done: Done,
    other: asyncpg.Connection[Any],
) -> None:
    meeting = await stored_meeting(unit)
    for _ in range(2):
        await other.execute("DELETE FROM segments")
        outcome, tally = await done([a_segment(meeting.id, number) for number in range(MANY)])
    assert isinstance(outcome, AlreadyApplied)
    assert tally == Tally(unchanged=MANY)
    assert await read(unit, meeting.id) == []


async def test_in_a_transaction_that_has_read_already_nothing_is_hoped_for(
    unit: OpenUnit, other: asyncpg.Connection[Any]
) -> None:
    meeting = await stored_meeting(unit)

    async def read_and_add() -> Tally:
        async with unit() as uow:
            await uow.segments.get_by_meeting(meeting.id)
            tally = await uow.segments.add_batch(meeting.id, [a_segment(meeting.id, each) for each in range(MANY)])
            await uow.commit()
        return tally

    async with storing(other, meeting.id, "hello"):
        adding = asyncio.create_task(read_and_add())
    assert await adding == Tally(stored=MANY - 1, unchanged=1)


async def test_of_few_segments_nothing_is_hoped_for(unit: OpenUnit, engine: AsyncEngine) -> None:
    meeting = await stored_meeting(unit)
    statements = await statements_of(engine)
    await add(unit, a_segment(meeting.id))
    assert await inserts(statements) == [False]


async def test_a_meeting_that_is_missing_is_missed_by_a_batch_that_hopes(unit: OpenUnit) -> None:
    stranger = MeetingId(uuid4())
    with pytest.raises(MeetingNotFound):
        await add(unit, *(a_segment(stranger, number) for number in range(MANY)))
