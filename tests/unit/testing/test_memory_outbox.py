"""A service that asks within a transaction is tested in memory, and meets there what it would meet in PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from jobs import handlers
from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.errors import InvalidValue, NoteflowError, RejectedByStorage, UnitOfWorkFailed
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.testing import MemoryJobClient, MemoryStore

OpenUnit = Callable[[], Any]


@pytest.fixture(params=["memory", "postgresql"])
def storage_url(request: pytest.FixtureRequest) -> Any:
    """Of a database of the test's own, or None where the store is in memory."""
    return request.getfixturevalue("database_url") if request.param == "postgresql" else None


@pytest.fixture
async def unit(storage_url: str | None, tmp_path: Path) -> AsyncIterator[OpenUnit]:
    """Opens a new unit of work each time it is called: both kinds shall pass the same tests."""
    if storage_url is None:
        yield MemoryStore().unit_of_work
        return
    engine = create_engine(storage_url)
    factory = create_session_factory(engine)
    yield lambda: SqlAlchemyUnitOfWork(factory, tmp_path)
    await engine.dispose()


def a_batch(meeting_id: MeetingId, segments: int = 1) -> IngestSegments:
    return IngestSegments(meeting_id, tuple(Segment(meeting_id, place, "hello", 0, 1) for place in range(segments)))


async def test_a_meeting_that_was_created_is_seen_by_its_unit_and_by_others_once_it_commits(unit: OpenUnit) -> None:
    meeting = Meeting.create(title="Planning")
    async with unit() as uow, unit() as other:
        assert await uow.meetings.create(meeting) is meeting
        assert await uow.meetings.get(meeting.id) == meeting
        assert await other.meetings.get(meeting.id) is None
        await other.rollback()
        await uow.commit()
        assert await other.meetings.get(meeting.id) == meeting


async def test_a_meeting_can_be_created_changed_and_filled_in_one_unit(unit: OpenUnit) -> None:
    meeting = Meeting.create(title="Planning")
    async with unit() as uow:
        await uow.meetings.create(meeting)
        meeting.move_to(MeetingState.RECORDING)
        await uow.meetings.update(meeting)
        tally = await uow.segments.add_batch(meeting.id, a_batch(meeting.id).segments)
        await uow.commit()
    assert tally.stored == 1
    async with unit() as uow:
        stored = await uow.meetings.get(meeting.id)
    assert (stored.state, stored.version) == (MeetingState.RECORDING, 2) == (meeting.state, meeting.version)


@pytest.mark.parametrize("within_one", [True, False])
async def test_an_id_that_is_taken_is_refused_and_the_unit_stores_nothing(unit: OpenUnit, within_one: bool) -> None:
    meeting, other = Meeting.create(title="Planning"), Meeting.create(title="Standup")
    async with unit() as uow:
        await uow.meetings.create(meeting)
        if not within_one:
            await uow.commit()
        await uow.meetings.create(other)
        with pytest.raises(RejectedByStorage, match=r"\(SQLSTATE 23505, meetings_pkey\)"):
            await uow.meetings.create(meeting)
        with pytest.raises(UnitOfWorkFailed):
            await uow.jobs.enqueue(a_batch(meeting.id))
        with pytest.raises(UnitOfWorkFailed):
            await uow.commit()
        await uow.rollback()
        assert await uow.meetings.get(other.id) is None
        assert (await uow.meetings.get(meeting.id) is None) is within_one


async def test_the_ids_are_those_of_the_outbox(unit: OpenUnit) -> None:
    meeting_id = MeetingId(uuid4())
    async with unit() as uow:
        state = await uow.jobs.enqueue(ChangeMeetingState(meeting_id, MeetingState.RECORDING, 1))
        cut = await uow.jobs.enqueue(a_batch(meeting_id, 1001), job_id="mine")
        one = await uow.jobs.enqueue(a_batch(meeting_id))
    assert state == [f"change_meeting_state:{meeting_id}:1:RECORDING"]
    assert cut == ["mine:1", "mine:2"]
    assert one[0].startswith(f"ingest_segments:{meeting_id}:")


@pytest.mark.parametrize(
    ("argument", "asked"),
    [
        ("command", lambda uow: uow.jobs.enqueue(None)),
        ("command", lambda uow: uow.jobs.enqueue([a_batch(MeetingId(uuid4()))])),
        ("queue_name", lambda uow: uow.jobs.enqueue(a_batch(MeetingId(uuid4())), queue_name="")),
        ("queue_name", lambda uow: uow.jobs.enqueue(a_batch(MeetingId(uuid4())), queue_name=None)),
        ("job_id", lambda uow: uow.jobs.enqueue(a_batch(MeetingId(uuid4())), job_id="")),
        ("job_id", lambda uow: uow.jobs.enqueue(a_batch(MeetingId(uuid4())), job_id="x" * 257)),
    ],
)
async def test_a_wrong_argument_is_refused_by_name_and_the_unit_goes_on(
    argument: str, asked: Callable[[Any], Any], unit: OpenUnit
) -> None:
    async with unit() as uow:
        with pytest.raises(InvalidValue) as refusal:
            await asked(uow)
        assert refusal.value.field == argument
        await uow.commit()


async def test_outside_its_block_a_unit_refuses(unit: OpenUnit) -> None:
    meeting = Meeting.create(title="Planning")
    uow = unit()
    for asked in (uow.meetings.create, lambda meeting: uow.jobs.enqueue(a_batch(meeting.id)), lambda _: uow.commit()):
        with pytest.raises(RuntimeError, match="use it within its `async with`"):
            await asked(meeting)


async def test_what_a_unit_asked_for_waits_once_it_commits_and_never_if_it_does_not() -> None:
    store, meeting_id = MemoryStore(), MeetingId(uuid4())
    async with store.unit_of_work() as uow:
        await uow.jobs.enqueue(a_batch(meeting_id))
    store.jobs.assert_enqueued(IngestSegments, times=0)
    async with store.unit_of_work() as uow:
        await uow.jobs.enqueue(a_batch(meeting_id))
        store.jobs.assert_enqueued(IngestSegments, times=0)
        await uow.commit()
    store.jobs.assert_enqueued(a_batch(meeting_id), times=1)


async def test_a_commit_that_is_refused_enqueues_nothing() -> None:
    store, nobody = MemoryStore(), MeetingId(uuid4())
    with pytest.raises(NoteflowError):
        async with store.unit_of_work() as uow:
            await uow.jobs.enqueue(a_batch(nobody))
            await uow.segments.add_batch(nobody, a_batch(nobody).segments)
            await uow.commit()
    assert store.jobs.commands == []


async def test_two_units_that_create_the_same_meeting_cannot_both_commit() -> None:
    store, meeting = MemoryStore(), Meeting.create(title="Planning")
    async with store.unit_of_work() as one, store.unit_of_work() as other:
        await one.meetings.create(meeting)
        await other.meetings.create(meeting)
        await one.commit()
        with pytest.raises(RejectedByStorage):
            await other.commit()


async def test_both_ways_of_asking_are_asserted_together_and_carried_out_together() -> None:
    jobs, meeting = MemoryJobClient(), Meeting.create(title="Planning")
    store = MemoryStore(jobs=jobs)
    async with store.unit_of_work() as uow:
        await uow.meetings.create(meeting)
        await uow.jobs.enqueue(ChangeMeetingState(meeting.id, MeetingState.RECORDING, 1))
        await uow.commit()
    await jobs.enqueue(ChangeMeetingState(meeting.id, MeetingState.STOPPED, 2))
    await jobs.enqueue(ChangeMeetingState(meeting.id, MeetingState.RECORDING, 1))
    jobs.assert_enqueued(ChangeMeetingState, meeting_id=meeting.id, times=2)
    await jobs.drain(handlers(), store.unit_of_work)
    assert store.meetings[meeting.id].state is MeetingState.STOPPED
    assert jobs.commands == []
    assert store.jobs is jobs
