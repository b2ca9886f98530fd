"""What is asked for in a transaction of PostgreSQL: enqueued if it commits, in order, whatever happens to relays."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from noteflow.domain.entities import Meeting
from noteflow.domain.errors import InvalidValue, QueueUnavailable
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.outbox import enqueue_in
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.worker.relays import NEVER_S, relaying
from tests.integration.worker.stage import Stage, batch, move
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.outbox.dispatching import MOST_ROWS, dispatch_due
from worker.outbox.epoch import notice_loss

if TYPE_CHECKING:
    from noteflow.domain.commands import Command
    from noteflow.infrastructure.queue.dispatch import KeptJob
    from tests.conftest import OwnRedis


async def queued(redis: Redis) -> list[str]:
    """The jobs in the queue, in the order in which they would be claimed."""
    return [job_id.decode() for job_id in await redis.zrange("arq:queue", 0, -1)]


async def ask(stage: Stage, *commands: Any) -> list[str]:
    async with stage.unit() as uow:
        job_ids = [job_id for command in commands for job_id in await uow.jobs.enqueue(command)]
        await uow.commit()
    return job_ids


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


async def test_a_commit_calls_the_relay_which_rests_for_an_hour_otherwise(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    async with relaying(stage.engine, redis, rest_s=NEVER_S):
        for place in range(3):
            (job_id,) = await ask(stage, batch(met, place))
            await eventually(partial(_has, redis, job_id), every_s=0.001)


async def test_a_relay_whose_listening_session_was_ended_listens_again(stage: Stage, met: UUID, redis: Redis) -> None:
    listener = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    async with relaying(stage.engine, redis, rest_s=NEVER_S):
        (first,) = await eventually(lambda: _rows(stage, listener))
        await stage.judge.ask("SELECT pg_terminate_backend($1)", first["pid"])
        await eventually(lambda: _others(stage, listener, first["pid"]))
        (job_id,) = await ask(stage, batch(met, 0))
        await eventually(lambda: _has(redis, job_id))


async def test_rows_reach_the_queue_in_the_order_in_which_they_were_asked_for(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    asked = await ask(stage, *(batch(met, place) for place in range(40)))
    assert asked != sorted(asked)
    await dispatch_due(stage.engine, Dispatcher(redis))
    assert await queued(redis) == asked
    later = await ask(stage, batch(met, 100))
    await dispatch_due(stage.engine, Dispatcher(redis))
    assert await queued(redis) == asked + later
    now_ms = (await redis.time())[0] * 1000 + 1000
    assert all(score <= now_ms for _, score in await redis.zrange("arq:queue", 0, -1, withscores=True))


async def test_several_relays_at_once_put_each_row_in_once_and_lose_none(stage: Stage, met: UUID, redis: Redis) -> None:
    commands = [batch(met, place) for place in range(MOST_ROWS + 100)]
    async with relaying(stage.engine, redis, number=3):
        asked = [job_id for part in range(0, 600, 50) for job_id in await ask(stage, *commands[part : part + 50])]
        await eventually(lambda: _none_waits(stage))
    assert sorted(await queued(redis)) == sorted(asked)
    counts = await stage.judge.ask("SELECT count(*) FROM outbox WHERE state = 'dispatched'")
    assert counts[0]["count"] == len(asked)


class Crash(Exception):
    """The relay's process is gone."""


async def test_a_relay_that_dies_between_redis_and_its_commit_does_harm_to_nothing(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    class Dying(Dispatcher):
        async def dispatch(self, jobs: Any) -> list[bool]:
            await super().dispatch(jobs)
            raise Crash

    job_ids = await ask(stage, batch(met, 0), batch(met, 1))
    with pytest.raises(Crash):
        await dispatch_due(stage.engine, Dying(redis))
    assert await stage.outbox() == dict.fromkeys(job_ids, "waiting")
    assert sorted(await queued(redis)) == sorted(job_ids)
    # Before the next relay comes, one of them is done already.
    body = await redis.get(f"arq:job:{job_ids[0]}")
    await stage.deliver_body(job_ids[0], body)
    await redis.flushall()

    await dispatch_due(stage.engine, Dispatcher(redis))
    assert await stage.outbox() == {job_ids[1]: "dispatched"}
    assert await queued(redis) == [job_ids[1]]


async def test_a_row_ends_with_the_transaction_of_its_jobs_effect(stage: Stage, met: UUID, redis: Redis) -> None:
    (job_id,) = await ask(stage, batch(met, 0, segments=3))
    await dispatch_due(stage.engine, Dispatcher(redis))
    # All that the transaction of the effect wrote has one transaction's number, and the row's end too.
    await stage.judge.ask("CREATE TABLE ends (xid xid8)")
    await stage.judge.ask(
        "CREATE FUNCTION note_end() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO ends VALUES (pg_current_xact_id()); RETURN NULL; END $$"
    )
    await stage.judge.ask("CREATE TRIGGER noted AFTER DELETE ON outbox FOR EACH ROW EXECUTE FUNCTION note_end()")
    await stage.deliver_body(job_id, await redis.get(f"arq:job:{job_id}"))
    assert await stage.outbox() == {}
    written = await stage.judge.ask(
        "SELECT xmin::text FROM segments UNION SELECT xmin::text FROM job_ledger UNION SELECT xid::text FROM ends"
    )
    assert len(written) == 1


async def test_a_row_asked_for_after_its_job_was_done_ends_without_an_effect_also_under_a_lock(
    stage: Stage, met: UUID
) -> None:
    commands: list[Command] = [move(met, "RECORDING", 1), batch(met, 0)]
    for command in commands:
        assert await stage.deliver(command) == "applied"
    for command in commands:
        (job_id,) = await ask(stage, command)
        assert await stage.deliver(command, job_id) == "already_applied"
        assert await stage.outbox() == {}

    def locking(uow: Any) -> Any:
        uow.meetings._lock_rows = True
        return uow

    (job_id,) = await ask(stage, commands[0])
    assert await stage.with_unit(locking).deliver(commands[0], job_id) == "already_applied"
    assert await stage.outbox() == {}


async def test_a_lost_job_is_put_back_and_one_that_redis_has_is_left_alone(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    waits, half, runs, lost = await ask(stage, *(batch(met, place) for place in range(4)))
    assert await notice_loss(stage.engine, redis) == 0
    await dispatch_due(stage.engine, Dispatcher(redis))
    await redis.zrem("arq:queue", half, runs)
    await redis.set(f"arq:in-progress:{runs}", "somebody")
    await redis.delete(f"arq:job:{lost}")
    await stage.judge.ask("UPDATE outbox SET due_at = now()")

    done = await dispatch_due(stage.engine, Dispatcher(redis))
    assert done.restored == 2
    assert sorted(await queued(redis)) == sorted([waits, half, lost])
    assert await redis.exists(f"arq:job:{lost}") == 1
    assert done.look_again_s is not None


async def test_another_redis_or_an_emptied_one_makes_every_dispatched_row_due(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    job_ids = await ask(stage, *(batch(met, place) for place in range(3)))
    await notice_loss(stage.engine, redis)
    await dispatch_due(stage.engine, Dispatcher(redis))
    assert await notice_loss(stage.engine, redis) == 0

    await redis.flushall()
    assert await notice_loss(stage.engine, redis) == 3
    assert (await dispatch_due(stage.engine, Dispatcher(redis))).restored == 3
    assert await queued(redis) == job_ids

    await redis.set("arq:outbox:mark", "the run id of the Redis that this one replaced")
    assert await notice_loss(stage.engine, redis) == 3
    assert (await dispatch_due(stage.engine, Dispatcher(redis))).restored == 0


async def test_a_redis_that_follows_another_is_not_believed_and_not_kept(stage: Stage, own_redis: OwnRedis) -> None:
    old, new = own_redis(), own_redis()
    async with Proxy(old.url()) as address, Redis.from_url(address.url) as redis:
        assert await notice_loss(stage.engine, redis) == 0
        await redis.replicaof("127.0.0.1", "1")
        address.lead_to(new.url())
        with pytest.raises(QueueUnavailable, match="read-only replica"):
            await notice_loss(stage.engine, redis)
        await notice_loss(stage.engine, redis)
        assert await redis.get("arq:outbox:mark") == (await redis.info("server"))["run_id"].encode()
        assert address.connections == 2


async def test_a_job_woken_while_its_claim_is_just_ending_is_looked_at_again_at_once(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    early = move(met, "STOPPED", 2)
    assert (await stage.deliver(early)).startswith("parked")
    (job_id,) = await stage.outbox()
    await redis.set(f"arq:in-progress:{job_id}", "the claim that parked it")
    async with relaying(stage.engine, redis, rest_s=NEVER_S):
        assert await stage.deliver(move(met, "RECORDING", 1)) == "applied"
        await eventually(lambda: _is(stage, job_id, "dispatched"))
        assert await queued(redis) == []
        await redis.delete(f"arq:in-progress:{job_id}")
        await eventually(lambda: _has(redis, job_id))


async def test_no_call_carries_more_bytes_than_redis_may_be_kept_busy_with(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    calls: list[int] = []

    class Counting(Dispatcher):
        async def dispatch(self, jobs: list[KeptJob]) -> list[bool]:  # type: ignore[override]  # a list will do
            calls.append(sum(len(job.body) for job in jobs))
            return await super().dispatch(jobs)

    long = "word " * 180_000
    asked = await ask(stage, *(batch(met, place, text=long) for place in range(12)))
    while (await dispatch_due(stage.engine, Counting(redis))).more:
        pass
    assert len(calls) > 1
    assert max(calls) <= 8 * 1_048_576
    assert sorted(await queued(redis)) == sorted(asked)


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


async def _has(redis: Redis, job_id: str) -> bool:
    return await redis.zscore("arq:queue", job_id) is not None


async def _rows(stage: Stage, query: str) -> Any:
    return await stage.judge.ask(query)


async def _others(stage: Stage, query: str, pid: int) -> bool:
    return any(row["pid"] != pid for row in await stage.judge.ask(query))


async def _none_waits(stage: Stage) -> bool:
    return "waiting" not in (await stage.outbox()).values()


async def _is(stage: Stage, job_id: str, state: str) -> bool:
    return (await stage.outbox()).get(job_id) == state
