"""What other services' tests lean on behaves as the real thing does."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from jobs import handlers
from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.errors import ConflictingContent, InvalidValue
from noteflow.domain.outcomes import Applied, Premature
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.answers import AlreadyQueued, Enqueued
from noteflow.infrastructure.queue.client import JobClient
from noteflow.testing import MemoryJobClient, MemoryStore

CANARY = "the merger is called Bluebird"


def a_batch(meeting_id: MeetingId, *ids: int, batch: int | None = None, text: str = "hello") -> IngestSegments:
    return IngestSegments(meeting_id, tuple(Segment(meeting_id, place, text, 0, 1) for place in ids), batch)


def a_story(meeting_id: MeetingId) -> list[Command]:
    """A meeting's life, said in an order in which it cannot be lived."""
    return [
        ChangeMeetingState(meeting_id, MeetingState.COMPLETED, 3),
        ChangeMeetingState(meeting_id, MeetingState.STOPPED, 2, expected_batches=2),
        a_batch(meeting_id, 3, 4, batch=2),
        ChangeMeetingState(meeting_id, MeetingState.RECORDING, 1),
        a_batch(meeting_id, 1, 2, batch=1),
        a_batch(meeting_id, 1, 2, batch=1),
    ]


async def test_what_was_enqueued_can_be_asserted() -> None:
    jobs, meeting_id = MemoryJobClient(), MeetingId(uuid4())
    await jobs.enqueue(a_batch(meeting_id, 1))
    jobs.assert_enqueued(IngestSegments, meeting_id=meeting_id)
    jobs.assert_enqueued(a_batch(meeting_id, 1), times=1)
    jobs.assert_enqueued(ChangeMeetingState, times=0)
    with pytest.raises(AssertionError, match="ChangeMeetingState"):
        jobs.assert_enqueued(ChangeMeetingState, state=MeetingState.STOPPED)


async def test_a_failing_assertion_does_not_print_the_transcript() -> None:
    jobs, meeting_id = MemoryJobClient(), MeetingId(uuid4())
    await jobs.enqueue(a_batch(meeting_id, 1, text=CANARY))
    with pytest.raises(AssertionError) as failure:
        jobs.assert_enqueued(a_batch(meeting_id, 2, text=CANARY))
    assert CANARY not in str(failure.value)


async def test_it_answers_as_the_real_client_does(redis_url: str) -> None:
    meeting_id = MeetingId(uuid4())
    story = [*a_story(meeting_id), a_batch(meeting_id, *range(1001))]
    async with JobClient.from_url(redis_url) as real:
        assert await MemoryJobClient().enqueue_many(story) == await real.enqueue_many(story)


async def test_it_refuses_what_the_real_client_refuses() -> None:
    command = a_batch(MeetingId(uuid4()), 1, text="x" * 2_000_000)
    with pytest.raises(InvalidValue, match=r"segments\[0\]"):
        await MemoryJobClient().enqueue(command)


async def test_a_job_that_is_done_is_known_and_a_state_without_a_number_can_be_said_again() -> None:
    meeting = Meeting.create(title="Standup")
    jobs, store = MemoryJobClient(), MemoryStore([meeting])
    again = ChangeMeetingState(meeting.id, MeetingState.RECORDING)
    for command in (again, a_batch(meeting.id, 1)):
        assert isinstance(await jobs.enqueue(command), Enqueued)
        assert isinstance(await jobs.enqueue(command), AlreadyQueued)
    await jobs.drain(handlers(), store.unit_of_work)
    assert isinstance(await jobs.enqueue(a_batch(meeting.id, 1)), AlreadyQueued)
    assert isinstance(await jobs.enqueue(again), Enqueued)


async def test_draining_lives_the_story_in_memory_as_in_postgresql(database_url: str, tmp_path: Any) -> None:
    meeting = Meeting.create(title="Standup")
    store, in_memory, in_postgresql = MemoryStore([meeting]), MemoryJobClient(), MemoryJobClient()
    engine = create_engine(database_url)
    factory = create_session_factory(engine)
    async with SqlAlchemyUnitOfWork(factory, tmp_path) as uow:
        await uow.meetings.create(meeting)
        await uow.commit()
    for jobs in (in_memory, in_postgresql):
        await jobs.enqueue_many(a_story(meeting.id))
    ended = await in_memory.drain(handlers(), store.unit_of_work)
    assert ended == await in_postgresql.drain(handlers(), lambda: SqlAlchemyUnitOfWork(factory, tmp_path))
    assert all(isinstance(outcome, Applied) for outcome in ended.values())
    async with SqlAlchemyUnitOfWork(factory, tmp_path) as uow:
        stored = await uow.meetings.get(meeting.id)
        segments = await uow.segments.get_by_meeting(meeting.id)
    await engine.dispose()
    kept = store.meetings[meeting.id]
    assert stored is not None
    assert (stored.state, stored.version, stored.sequence) == (kept.state, kept.version, kept.sequence)
    assert sorted(store.segments[meeting.id]) == [segment.segment_id for segment in segments] == [1, 2, 3, 4]


async def test_what_stays_premature_stays_and_says_what_is_missing() -> None:
    meeting = Meeting.create(title="Standup")
    jobs = MemoryJobClient()
    await jobs.enqueue(ChangeMeetingState(meeting.id, MeetingState.STOPPED, 2))
    await jobs.enqueue(a_batch(MeetingId(uuid4()), 1))
    outcomes = list((await jobs.drain(handlers(), MemoryStore([meeting]).unit_of_work)).values())
    assert all(isinstance(outcome, Premature) for outcome in outcomes)
    assert len(jobs.commands) == 2


async def test_contradicting_content_is_raised_and_nothing_of_it_kept() -> None:
    meeting = Meeting.create(title="Standup")
    jobs, store = MemoryJobClient(), MemoryStore([meeting])
    await jobs.enqueue(a_batch(meeting.id, 1))
    await jobs.drain(handlers(), store.unit_of_work)
    await jobs.enqueue(a_batch(meeting.id, 0, 1, text=CANARY))
    with pytest.raises(ConflictingContent) as refusal:
        await jobs.drain(handlers(), store.unit_of_work)
    assert CANARY not in str(refusal.value)
    assert list(store.segments[meeting.id]) == [1]
