"""A burst ends when nothing is left to do, neither in the queue nor in the outbox."""

from __future__ import annotations

import asyncio
import subprocess

from redis.asyncio import Redis

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.entities import Meeting
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.fleet import OURS
from tests.acceptance.judge import Judge
from tests.acceptance.manager import PATIENCE_S, ROOT, environment

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


async def burst(database_url: str, redis_url: str) -> None:
    """Run one worker until it ends by itself."""
    command = (*OURS, "--burst")
    told = environment(database_url, redis_url)
    ended = await asyncio.to_thread(
        subprocess.run, command, cwd=ROOT, env=told, capture_output=True, text=True, timeout=PATIENCE_S, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
