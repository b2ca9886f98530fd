"""What is asked for in a transaction of PostgreSQL: enqueued if it commits, once, and cheap to ask for."""

from __future__ import annotations

import asyncio
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from sqlalchemy.orm import Session

from noteflow.domain.entities import Meeting
from noteflow.domain.errors import InvalidValue, QueueUnavailable
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.outbox import enqueue_in
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.worker.asking import ask, queued
from tests.integration.worker.stage import Stage, batch, move
from tests.proxy import Proxy
from worker.outbox.dispatching import dispatch_due
from worker.outbox.epoch import notice_loss


async def test_a_unit_that_commits_enqueues_what_it_asked_for_together_with_what_it_stored(
    stage: Stage, redis: Redis
) -> None:
    meeting = Meeting.create(title="Planning")
    async with stage.unit() as uow:
        await uow.meetings.create(meeting)
        (job_id,) = await uow.jobs.enqueue(batch(meeting.id, 0))
        assert await stage.outbox() == {}, "another transaction sees it already"
        await uow.commit()
    assert await stage.outbox() == {job_id: "waiting"}
    await dispatch_due(stage.engine, Dispatcher(redis))
    assert await queued(redis) == [job_id]
    assert await stage.outbox() == {job_id: "dispatched"}


async def test_a_unit_that_rolls_back_never_asked(stage: Stage, met: UUID) -> None:
    async with stage.unit() as uow:
        await uow.jobs.enqueue(batch(met, 0))
    with pytest.raises(RuntimeError):
        async with stage.unit() as uow:
            await uow.jobs.enqueue(batch(met, 0))
            raise RuntimeError
    assert await stage.outbox() == {}


async def test_a_plain_session_and_a_plain_connection_can_ask_too(stage: Stage, met: UUID) -> None:
    async with stage.session_factory() as session:
        in_session = await enqueue_in(session, batch(met, 0))
        await session.commit()
    async with stage.engine.begin() as connection:
        in_connection = await enqueue_in(connection, move(met, "RECORDING", 1))
    async with stage.session_factory() as session:
        await enqueue_in(session, batch(met, 7))
        await session.rollback()
    assert await stage.outbox() == dict.fromkeys([*in_session, *in_connection], "waiting")


async def test_asking_twice_is_asking_once_also_from_two_transactions_at_once(stage: Stage, met: UUID) -> None:
    command = batch(met, 0)
    async with stage.unit() as first:
        (job_id,) = await first.jobs.enqueue(command)
        second = asyncio.create_task(ask(stage, command))
        await first.commit()
        assert await second == [job_id]
    assert await stage.outbox() == {job_id: "waiting"}


async def test_a_long_batch_is_asked_for_as_the_jobs_that_the_client_would_make_of_it(
    stage: Stage, met: UUID, redis_url: str, redis: Redis
) -> None:
    long = batch(met, 0, segments=2_500, batch=1)
    asked = await ask(stage, long)
    async with JobClient.from_url(redis_url, queue_name="another") as client:
        answer = await client.enqueue(long)
    assert asked == list(answer.job_ids)
    bodies = await stage.judge.ask("SELECT body FROM outbox ORDER BY position")
    for job_id, row in zip(asked, bodies, strict=True):
        enqueued: bytes = await redis.get(f"arq:job:{job_id}")
        assert row["body"].rpartition(b":")[0] == enqueued.rpartition(b":")[0]


@pytest.mark.parametrize(("job_id", "complaint"), [("", "job_id: must not be empty"), ("x" * 257, "job_id: must be")])
async def test_an_id_that_the_client_would_refuse_is_refused(
    stage: Stage, met: UUID, job_id: str, complaint: str
) -> None:
    async with stage.unit() as uow:
        with pytest.raises(InvalidValue, match=complaint):
            await uow.jobs.enqueue(batch(met, 0), job_id=job_id)


async def test_asking_costs_the_callers_transaction_one_round_trip_however_many_jobs_it_makes(
    stage: Stage, met: UUID
) -> None:
    async with Proxy(stage.judge.database_url) as proxy:
        engine = create_engine(proxy.url, pool_size=1)
        async with engine.connect() as connection:
            await enqueue_in(connection, batch(met, 0))  # prepares the statement, once a connection
            proxy.forget()
            assert len(await enqueue_in(connection, batch(met, 0, segments=2_500))) == 3
            assert proxy.round_trips == 1
        await engine.dispose()


async def test_what_cannot_carry_a_transaction_is_refused_by_name(stage: Stage, met: UUID) -> None:
    for wrong in (stage.engine, stage.engine.sync_engine, stage.session_factory, None):
        unfit: Any = wrong
        with pytest.raises(TypeError, match=r"^transaction: must be an AsyncSession or an AsyncConnection"):
            await enqueue_in(unfit, batch(met, 0))
    async with stage.engine.begin() as connection:
        for lower in (connection.sync_connection, Session(connection.sync_connection)):
            unfit = lower
            with pytest.raises(TypeError, match="transaction: must be"):
                await enqueue_in(unfit, batch(met, 0))
        with pytest.raises(InvalidValue, match="command: must be"):
            await enqueue_in(connection, unfit)
    assert await stage.outbox() == {}


async def test_a_relay_without_redis_says_which_redis_and_speaks_to_no_producer(stage: Stage, met: UUID) -> None:
    await ask(stage, batch(met, 0))
    async with Redis.from_url("redis://:hunter2@127.0.0.1:1/3") as nobody:
        for attempt in (dispatch_due(stage.engine, Dispatcher(nobody)), notice_loss(stage.engine, nobody)):
            with pytest.raises(
                QueueUnavailable, match=r"^Redis at 127\.0\.0\.1:1/3 does not answer \(ConnectionError\)$"
            ):
                await attempt
