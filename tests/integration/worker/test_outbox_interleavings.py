"""Statements over many rows of the outbox meet rows that another transaction is just changing."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from sqlalchemy import text

from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.databases import driver_url
from tests.integration.worker.asking import ask
from tests.integration.worker.stage import Stage, batch
from tests.waiting import eventually
from worker import bursting
from worker.inspection.asked import bury_asked, forget_asked
from worker.inspection.sources import Sources
from worker.outbox.dispatching import dispatch_due
from worker.outbox.epoch import notice_loss
from worker.outbox.giving_up import give_up_parked
from worker.reconcile import repairing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine

    from redis.asyncio import Redis

PARK = """
    UPDATE outbox SET state = 'parked', awaits = 'meeting', missing = 'a meeting', parked_at = clock_timestamp(),
                      due_at = clock_timestamp() + interval '15 min' WHERE job_id = $1
"""
WAKE = "UPDATE outbox SET state = 'waiting', due_at = clock_timestamp() WHERE job_id = $1"
BLOCKED = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


@asynccontextmanager
async def changing(stage: Stage, statement: str, job_id: str) -> AsyncIterator[asyncpg.transaction.Transaction]:
    """Give a transaction that has changed the row of a job and is not committed yet."""
    connection = await asyncpg.connect(driver_url(stage.judge.database_url))
    try:
        transaction = connection.transaction()
        await transaction.start()
        await connection.execute(statement, job_id)
        yield transaction
    finally:
        await connection.close()


async def done_or_blocked(stage: Stage, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
    """Start the work; return when it is over, or waits for a lock."""
    task = asyncio.create_task(work)

    async def there() -> bool:
        return task.done() or bool((await stage.judge.ask(BLOCKED))[0]["count"])

    await eventually(there)
    return task


async def row_of(stage: Stage, job_id: str) -> asyncpg.Record:
    return (
        await stage.judge.ask("SELECT *, due_at > clock_timestamp() AS waits FROM outbox WHERE job_id = $1", job_id)
    )[0]


async def test_a_row_that_is_being_parked_keeps_its_deadline_when_redis_is_doubted(stage: Stage, redis: Redis) -> None:
    parked, other = await ask(stage, batch(uuid4(), 0), batch(uuid4(), 1))
    await notice_loss(stage.engine, redis)
    await dispatch_due(stage.engine, Dispatcher(redis))
    await redis.flushall()

    async with changing(stage, PARK, parked) as parking:
        noticing = await done_or_blocked(stage, notice_loss(stage.engine, redis))
        await parking.commit()
        assert (await noticing).jobs == 1

    assert await give_up_parked(stage.engine) == []
    row = await row_of(stage, parked)
    assert (row["state"], row["waits"]) == ("parked", True)
    assert not (await row_of(stage, other))["waits"]


@pytest.mark.parametrize("statement", [bursting._DOUBT_ALL, repairing._ASK_AGAIN], ids=["burst", "repair"])
async def test_neither_a_burst_nor_a_repair_takes_a_row_that_is_being_parked(
    statement: str, stage: Stage, redis: Redis
) -> None:
    (job_id,) = await ask(stage, batch(uuid4(), 0))
    await dispatch_due(stage.engine, Dispatcher(redis))

    async def run() -> None:
        async with stage.engine.begin() as connection:
            await connection.execute(text(statement), {"job_ids": [job_id]} if ":job_ids" in statement else {})

    async with changing(stage, PARK, job_id) as parking:
        running = await done_or_blocked(stage, run())
        await parking.commit()
        await running
    row = await row_of(stage, job_id)
    assert (row["state"], row["waits"]) == ("parked", True)


async def test_a_job_that_is_being_woken_is_not_given_up(stage: Stage) -> None:
    early = batch(uuid4(), 0)
    assert (await stage.patient_for(0.001).deliver(early)).startswith("parked: ")
    ((job_id, _),) = (await stage.outbox()).items()

    async with changing(stage, WAKE, job_id) as waking:
        giving_up = await done_or_blocked(stage, give_up_parked(stage.engine))
        await waking.commit()
        assert await giving_up == []
    assert (await row_of(stage, job_id))["state"] == "waiting"
    assert await stage.letters() == []


async def test_a_job_that_parks_while_its_row_is_dispatched_stays_parked(stage: Stage, met: UUID, redis: Redis) -> None:
    """The queue has the job before the relay has committed, so a worker may be done with it by then."""
    (job_id,) = await ask(stage, batch(met, 0))
    parking: list[asyncio.Task[Any]] = []

    class Overtaken(Dispatcher):
        async def dispatch(self, jobs: Any) -> list[bool]:
            answers = await super().dispatch(jobs)
            parking.append(await done_or_blocked(stage, stage.judge.ask(PARK, job_id)))
            return answers

    await dispatch_due(stage.engine, Overtaken(redis))
    await parking[0]
    row = await row_of(stage, job_id)
    assert (row["state"], row["waits"]) == ("parked", True)


@pytest.mark.parametrize("act", ["cancel", "drop"])
async def test_an_operator_takes_no_job_out_of_the_outbox_that_was_dispatched_since_he_looked(
    act: str, stage: Stage, met: UUID, redis: Redis
) -> None:
    (job_id,) = await ask(stage, batch(met, 0))
    sources = Sources(redis, stage.engine, "arq:queue")
    await dispatch_due(stage.engine, Dispatcher(redis))

    async def take(state: str) -> bool:
        if act == "cancel":
            return await bury_asked(sources, job_id, "cancelled", state=state)
        return await forget_asked(sources, job_id, state=state)

    assert not await take("waiting")
    assert await stage.outbox() == {job_id: "dispatched"}
    assert await stage.letters() == []
    assert await take("dispatched")
    assert await stage.outbox() == {}
    assert len(await stage.letters()) == (act == "cancel")
