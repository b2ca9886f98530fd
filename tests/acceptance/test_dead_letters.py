"""A real worker's dead letters: in PostgreSQL soon after the death, safe from Redis, and replayed from there."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from redis.asyncio import Redis

from noteflow.domain.commands import MOST_BYTES_PER_JOB
from noteflow.domain.entities import Meeting
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.persistence.dead_letter_acts import Replayed, replay_letter
from noteflow.infrastructure.persistence.dead_letter_query import Matching
from noteflow.infrastructure.persistence.dead_letters import list_letters
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.judge import Judge
from tests.integration.worker.stage import batch
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

    from noteflow.infrastructure.persistence.dead_letters import KeptLetter
    from tests.acceptance.conftest import StartWorkers


@pytest.fixture
async def engine(database_url: str) -> AsyncIterator[AsyncEngine]:
    engine = create_engine(database_url, pool_size=2)
    yield engine
    await engine.dispose()


async def test_a_letter_survives_its_redis_and_its_job_is_done_once_the_cause_is_mended(
    engine: AsyncEngine, database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    judge = Judge(database_url)
    meeting = await judge.new_meeting()
    (worker,) = await start_workers(database_url, redis_url)
    async with Redis.from_url(redis_url) as redis, JobClient(redis) as client:
        await client.enqueue(batch(meeting, 0, text="said"))
        await eventually(judge.count)
        contradiction = await client.enqueue(batch(meeting, 0, text="contradicted"))
        (kept,) = await eventually(lambda: _letters(engine))
        assert kept.letter.job_id == contradiction.job_id
        assert kept.letter.meeting_id == meeting
        assert kept.letter.reason.startswith(f"refused: segment 0 of meeting {meeting} is stored")
        assert kept.letter.worker
        await eventually(lambda: _is_gone(redis, contradiction.job_id))

        await redis.flushall()
        await judge.ask("DELETE FROM segments")
        assert await replay_letter(engine, kept.id, actor="ada") is Replayed.REPLAYED
        assert await eventually(judge.segments) == {meeting: {0: "contradicted 0"}}
    assert await eventually(lambda: _is_finished(judge, contradiction.job_id))
    assert worker.process.poll() is None
    assert await judge.ask("SELECT FROM outbox") == []


async def test_a_parked_job_whose_deadline_has_passed_is_a_letter_without_anybody_looking(
    engine: AsyncEngine, database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    settings = {"PREMATURE_DEADLINE_S": "0.5"}
    (worker,) = await start_workers(database_url, redis_url, settings=settings)
    nobody = UUID(int=7)
    async with JobClient.from_url(redis_url) as client:
        await client.enqueue(batch(nobody, 0))
    (kept,) = await eventually(lambda: _letters(engine), within_s=20.0)
    assert kept.letter.reason.startswith(f"premature: meeting {nobody} did not come within ")
    alarm = await eventually(lambda: worker.lines("job.dead"))
    assert (alarm[0]["level"], alarm[0]["reason"]) == ("error", kept.letter.reason)

    meeting = Meeting(MeetingId(nobody), "Here at last")
    async with SqlAlchemyUnitOfWork(create_session_factory(engine), ".") as uow:
        await uow.meetings.create(meeting)
        await uow.commit()
    assert await replay_letter(engine, kept.id, actor="ada") is Replayed.REPLAYED
    assert await eventually(Judge(database_url).count) == 1


async def _letters(engine: AsyncEngine) -> list[KeptLetter]:
    return await list_letters(engine, Matching())


async def _is_gone(redis: Redis, job_id: str) -> bool:
    return not await redis.exists(f"arq:dead:letter:{job_id}", f"arq:job:{job_id}")


async def _is_finished(judge: Judge, job_id: str) -> bool:
    return bool(await judge.ask("SELECT FROM job_ledger WHERE job_id = $1", job_id))


async def test_a_job_larger_than_one_may_be_is_kept_unread_and_the_next_one_is_done(
    engine: AsyncEngine, database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    judge = Judge(database_url)
    meeting = await judge.new_meeting()
    body = b'{"t":null,"f":"ingest_segments","a":[],"k":{"text":"%b"},"et":1}' % (b"x" * MOST_BYTES_PER_JOB)
    async with Redis.from_url(redis_url) as redis, JobClient(redis) as client:
        await redis.set("arq:job:heavy", body)
        await redis.zadd("arq:queue", {"heavy": 1})
        await client.enqueue(batch(meeting, 0, text="said"))
        await start_workers(database_url, redis_url)
        (kept,) = await eventually(lambda: _letters(engine))
        assert await eventually(judge.segments) == {meeting: {0: "said 0"}}
    assert kept.letter.job_id == "heavy"
    assert f"it is {len(body)} bytes" in kept.letter.reason
    (row,) = await judge.ask("SELECT body FROM dead_letters")
    assert row["body"] == body
