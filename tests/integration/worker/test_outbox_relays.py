"""Relays carry what was asked for into the queue: at once when they are called, and whatever happens to them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis
from structlog.testing import capture_logs

from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.worker.asking import ask, has, queued
from tests.integration.worker.relays import NEVER_S, relaying
from tests.integration.worker.stage import Stage, batch, move
from tests.waiting import eventually
from worker.outbox import dispatching
from worker.outbox.dispatching import dispatch_due
from worker.outbox.epoch import notice_loss


async def test_a_commit_calls_the_relay_which_rests_for_an_hour_otherwise(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    async with relaying(stage.engine, redis, rest_s=NEVER_S):
        for place in range(3):
            (job_id,) = await ask(stage, batch(met, place))
            await eventually(partial(has, redis, job_id), every_s=0.001)


async def test_a_row_of_which_no_relay_was_told_is_found_by_looking(stage: Stage, met: UUID, redis: Redis) -> None:
    await stage.judge.ask("ALTER TABLE outbox DISABLE TRIGGER tell_relays")
    async with relaying(stage.engine, redis, rest_s=0.1):
        for place in range(3):
            (job_id,) = await ask(stage, batch(met, place))
            await eventually(partial(has, redis, job_id))


async def test_a_relay_whose_listening_session_was_ended_listens_again(stage: Stage, met: UUID, redis: Redis) -> None:
    listener = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()"
    async with relaying(stage.engine, redis, rest_s=NEVER_S):
        (first,) = await eventually(lambda: _rows(stage, listener))
        await stage.judge.ask("SELECT pg_terminate_backend($1)", first["pid"])
        await eventually(lambda: _others(stage, listener, first["pid"]))
        (job_id,) = await ask(stage, batch(met, 0))
        await eventually(lambda: has(redis, job_id))


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


async def test_a_relay_that_stands_still_in_the_middle_does_not_stop_the_others(
    stage: Stage, met: UUID, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatching, "FROZEN_AFTER_MS", 200)
    entered = asyncio.Event()

    class Frozen(Dispatcher):
        async def dispatch(self, jobs: Any) -> list[bool]:
            entered.set()
            await asyncio.Event().wait()
            raise AssertionError

    (job_id,) = await ask(stage, batch(met, 0))
    frozen = asyncio.create_task(dispatch_due(stage.engine, Frozen(redis)))
    await entered.wait()
    async with relaying(stage.engine, redis, rest_s=0.05):
        await eventually(lambda: has(redis, job_id))
    frozen.cancel()
    await asyncio.gather(frozen, return_exceptions=True)


async def test_a_redis_that_was_emptied_is_noticed_though_the_outbox_had_nothing_there(
    stage: Stage, redis: Redis
) -> None:
    with capture_logs() as lines:
        async with relaying(stage.engine, redis, rest_s=0.05):
            await eventually(lambda: redis.exists("arq:outbox:mark"))
            assert not await redis.exists("arq:outbox:lost")
            await redis.flushall()
            await eventually(lambda: redis.exists("arq:outbox:lost"))
            await eventually(lambda: [line for line in lines if line["event"] == "outbox.redis_lost"])
    assert [line["jobs"] for line in lines if line["event"] == "outbox.redis_lost"] == [0]


async def test_a_job_woken_while_its_claim_is_just_ending_is_looked_at_again_at_once(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    early = move(met, "STOPPED", 2)
    assert (await stage.deliver(early)).startswith("parked")
    (job_id,) = await stage.outbox()
    await redis.set(f"arq:in-progress:{job_id}", "the claim that parked it")
    with capture_logs() as lines:
        async with relaying(stage.engine, redis, rest_s=NEVER_S):
            assert await stage.deliver(move(met, "RECORDING", 1)) == "applied"
            await eventually(lambda: _is(stage, job_id, "dispatched"))
            assert await queued(redis) == []
            await redis.delete(f"arq:in-progress:{job_id}")
            await eventually(lambda: has(redis, job_id))
            await eventually(lambda: told_restored(lines))
    assert [(line["log_level"], line["jobs"]) for line in told_restored(lines)] == [("info", 1)]


@pytest.mark.parametrize("flushed", [True, False])
async def test_what_redis_has_lost_is_put_back_with_a_warning(
    stage: Stage, met: UUID, redis: Redis, flushed: bool
) -> None:
    (job_id,) = await ask(stage, batch(met, 0))
    await notice_loss(stage.engine, redis)
    await dispatch_due(stage.engine, Dispatcher(redis))
    if flushed:
        await redis.flushall()
    else:
        await redis.delete(f"arq:job:{job_id}")
        await stage.judge.ask("UPDATE outbox SET due_at = now(), dispatched_at = now() - interval '1 min'")
    with capture_logs() as lines:
        async with relaying(stage.engine, redis, rest_s=NEVER_S):
            await eventually(lambda: told_restored(lines))
    assert [(line["log_level"], line["why"]) for line in told_restored(lines)] == [("warning", "Redis had lost them")]


def told_restored(lines: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    return [line for line in lines if line["event"] == "outbox.restored"]


async def _rows(stage: Stage, query: str) -> Any:
    return await stage.judge.ask(query)


async def _others(stage: Stage, query: str, pid: int) -> bool:
    return any(row["pid"] != pid for row in await stage.judge.ask(query))


async def _is(stage: Stage, job_id: str, state: str) -> bool:
    return (await stage.outbox()).get(job_id) == state
