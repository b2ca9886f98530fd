"""A burst ends when nothing is left to do, neither in the queue nor in the outbox."""

from __future__ import annotations

import asyncio
import json
import subprocess

import pytest
from redis.asyncio import Redis

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.fleet import OURS
from tests.acceptance.judge import Judge
from tests.acceptance.manager import PATIENCE_S, ROOT, environment
from worker.inspection.pauses import field_of, pause_value

MOVES = list(
    enumerate((MeetingState.RECORDING, MeetingState.STOPPING, MeetingState.STOPPED, MeetingState.COMPLETED), start=1)
)
COMPLETED = ("COMPLETED", 5, 4)


async def test_jobs_that_woke_one_another_are_all_done(database_url: str, redis_url: str) -> None:
    judge = Judge(database_url)
    meeting = MeetingId(await judge.new_meeting())
    async with Redis.from_url(redis_url) as redis, JobClient(redis) as jobs:
        for number, state in reversed(MOVES):  # each parks until the one before it is done
            await jobs.enqueue(ChangeMeetingState(meeting, state, number))
        await burst(database_url, redis_url)
        assert await redis.zcard("arq:queue") == 0
    assert await judge.meetings() == {meeting: COMPLETED}
    assert await judge.ask("SELECT FROM outbox") == []


async def test_jobs_that_only_the_outbox_knows_are_done_too(database_url: str, redis_url: str) -> None:
    engine = create_engine(database_url)
    async with SqlAlchemyUnitOfWork(create_session_factory(engine), "meetings") as uow:
        meetings = [await uow.meetings.create(Meeting.create(title="Monday")) for _ in range(20)]
        for meeting in meetings:
            for number, state in MOVES:
                await uow.jobs.enqueue(ChangeMeetingState(meeting.id, state, number))
        await uow.commit()
    await engine.dispose()
    await burst(database_url, redis_url)
    judge = Judge(database_url)
    assert set((await judge.meetings()).values()) == {COMPLETED}
    assert await judge.ask("SELECT FROM outbox") == []


@pytest.mark.parametrize(("scope", "name"), [("kind", "change_meeting_state"), ("queue", "arq:queue")])
async def test_what_is_paused_is_told_of_and_not_waited_for(
    database_url: str, redis_url: str, scope: str, name: str
) -> None:
    judge = Judge(database_url)
    meeting = MeetingId(await judge.new_meeting())
    async with Redis.from_url(redis_url) as redis, JobClient(redis) as jobs:
        await redis.hset("arq:paused", field_of(scope, name), pause_value("moving the database", "ada", 1))
        await jobs.enqueue_many([ChangeMeetingState(meeting, state, number) for number, state in MOVES])
        await jobs.enqueue(IngestSegments(meeting, (Segment(meeting, 1, "hello", 0.0, 1.0),)))
        said = await burst(database_url, redis_url)
        kept = await redis.zcard("arq:queue")
    told = {"scope": scope, "name": name, "jobs": kept, "by": "ada", "reason": "moving the database"}
    (line,) = (line for line in map(json.loads, said.splitlines()) if line["action"] == "burst.paused")
    assert {field: line[field] for field in told} == told
    assert (kept, await judge.count()) == ((4, 1) if scope == "kind" else (5, 0))


async def burst(database_url: str, redis_url: str) -> str:
    """Run one worker until it ends by itself; return its log."""
    command = (*OURS, "--burst")
    told = environment(database_url, redis_url)
    ended = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout
