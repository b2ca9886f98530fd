"""A row of the outbox lives until its job's effect is committed, however often Redis loses the job meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from noteflow.domain.errors import QueueUnavailable
from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.inspection.hostile import VALUES
from tests.integration.worker.asking import ask, queued
from tests.integration.worker.stage import Stage, batch, move
from tests.proxy import Proxy
from worker.outbox.dispatching import dispatch_due
from worker.outbox.epoch import lost_lately, notice_loss

if TYPE_CHECKING:
    from noteflow.domain.commands import Command
    from tests.conftest import OwnRedis


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
    assert (loss := await notice_loss(stage.engine, redis)) is not None
    assert loss.jobs == 0
    await dispatch_due(stage.engine, Dispatcher(redis))
    await redis.zrem("arq:queue", half, runs)
    await redis.set(f"arq:in-progress:{runs}", "somebody")
    await redis.delete(f"arq:job:{lost}")
    await stage.judge.ask("UPDATE outbox SET due_at = now()")

    done = await dispatch_due(stage.engine, Dispatcher(redis))
    assert (done.restored, done.lost) == (2, 0)  # they have hardly been dispatched: a claim might just have ended
    assert sorted(await queued(redis)) == sorted([waits, half, lost])
    assert await redis.exists(f"arq:job:{lost}") == 1
    assert done.look_again_s is not None


async def test_another_redis_or_an_emptied_one_makes_every_dispatched_row_due(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    job_ids = await ask(stage, *(batch(met, place) for place in range(3)))
    await notice_loss(stage.engine, redis)
    await dispatch_due(stage.engine, Dispatcher(redis))
    assert await notice_loss(stage.engine, redis) is None

    await redis.flushall()
    assert (loss := await notice_loss(stage.engine, redis)) is not None
    assert loss.jobs == 3
    assert (await dispatch_due(stage.engine, Dispatcher(redis))).restored == 3
    assert await queued(redis) == job_ids

    await redis.set("arq:outbox:mark", "the run id of the Redis that this one replaced")
    assert (loss := await notice_loss(stage.engine, redis)) is not None
    assert loss.jobs == 3
    assert (await dispatch_due(stage.engine, Dispatcher(redis))).restored == 0


async def test_a_redis_that_follows_another_is_not_believed_and_not_kept(stage: Stage, own_redis: OwnRedis) -> None:
    old, new = own_redis(), own_redis()
    async with Proxy(old.url()) as address, Redis.from_url(address.url) as redis:
        assert (loss := await notice_loss(stage.engine, redis)) is not None
        assert loss.jobs == 0
        await redis.replicaof("127.0.0.1", "1")
        address.lead_to(new.url())
        with pytest.raises(QueueUnavailable, match="read-only replica"):
            await notice_loss(stage.engine, redis)
        await notice_loss(stage.engine, redis)
        assert await redis.get("arq:outbox:mark") == (await redis.info("server"))["run_id"].encode()
        assert address.connections == 2


@pytest.mark.parametrize("key", ["arq:outbox:mark", "arq:outbox:lost"])
async def test_hostile_marks_do_not_stop_a_relay(stage: Stage, redis: Redis, key: str) -> None:
    """What is no mark of a relay is taken for a loss, and written anew."""
    for _, put in VALUES.values():
        await redis.delete("arq:outbox:mark", "arq:outbox:lost")
        await put(redis, key)
        assert await notice_loss(stage.engine, redis, was_marked=True) is not None
        assert await notice_loss(stage.engine, redis, was_marked=True) is None
        assert await lost_lately(redis)
        await redis.delete(key)
        await put(redis, key)
        await lost_lately(redis)
