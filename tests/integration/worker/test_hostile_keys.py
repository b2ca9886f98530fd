"""Relay, archiver, audit log and producers work on, whatever stands under the keys of Redis."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any
from uuid import UUID

import msgspec
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from structlog.testing import capture_logs

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.client import JobClient
from tests.hostile import every_key, every_value
from tests.integration.worker.letters import bury
from tests.integration.worker.stage import Stage, batch
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.dead_letters import LetterMover
from worker.dead_letters.reading import MOST_BYTES
from worker.inspection.acts import Act, told
from worker.inspection.acts_mover import keep_moving_acts
from worker.logs import logger
from worker.outbox import Relay

KEYS = {name: key for name, key in every_key("victim").items() if name not in ("DEFAULT_QUEUE", "HEALTH_CHECK")}


@asynccontextmanager
async def beside(stage: Stage, redis: Any) -> AsyncIterator[None]:
    """Run what runs beside the jobs, and see to it that none of it ends or fails."""
    work = {
        "relay": Relay(stage.engine, redis, logger(), rest_s=0.1).run(),
        "archiver": LetterMover(stage.engine, redis, logger(), rest_s=0.05).run(),
        "audit log": keep_moving_acts(stage.engine, redis, rest_s=0.05),
    }
    tasks = {name: asyncio.create_task(each) for name, each in work.items()}
    try:
        with capture_logs() as lines:
            yield
        assert [name for name, task in tasks.items() if task.done()] == []
        assert [line["event"] for line in lines if line["event"].endswith((".failed", ".interrupted"))] == []
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def rows(stage: Stage, statement: str, **values: Any) -> list[Any]:
    async with stage.engine.connect() as connection:
        return list(await connection.execute(text(statement), values))


@pytest.mark.parametrize("when", ["before", "meanwhile"])
@pytest.mark.parametrize("value", every_value())
async def test_rows_letters_and_acts_are_carried_whatever_stands_under_every_key(
    stage: Stage, met: UUID, redis: Any, value: str, when: str
) -> None:
    async def overwrite() -> None:
        async with redis.pipeline(transaction=True) as pipe:
            for key in KEYS.values():
                pipe.delete(key)
                every_value()[value](pipe, key)
            await pipe.execute()

    if when == "before":
        await overwrite()
    async with beside(stage, redis), JobClient(redis) as client:
        if when == "meanwhile":
            await eventually(lambda: redis.exists(keys.OUTBOX_MARK))
            await overwrite()
            await eventually(partial(_is_marked, redis))
        job_id = await bury(redis, batch(met, 0))
        await client.enqueue(batch(met, 1))
        async with stage.unit() as unit:
            (asked,) = await unit.jobs.enqueue(ChangeMeetingState(MeetingId(met), MeetingState.RECORDING, 1))
            await unit.commit()
        await eventually(partial(redis.zscore, keys.DEFAULT_QUEUE, asked))
        await eventually(partial(rows, stage, "SELECT 1 FROM dead_letters WHERE job_id = :id", id=job_id))
        if await redis.type(keys.ACTS) != b"list":  # until the audit log has set it aside nothing can be told
            await eventually(lambda: _is_list_or_none(redis))
        act = Act("replay", "ada", job_id="j")
        await redis.execute_command(*told([act]))
        await eventually(partial(rows, stage, "SELECT 1 FROM operator_acts WHERE id = :id", id=act.id))


async def _is_marked(redis: Any) -> bool:
    run_id = (await redis.info("server"))["run_id"]
    return bool(
        await redis.type(keys.OUTBOX_MARK) == b"string" and await redis.get(keys.OUTBOX_MARK) == run_id.encode()
    )


async def _is_list_or_none(redis: Redis) -> bool:
    return await redis.type(keys.ACTS) in (b"list", b"none")


FORGED: dict[str, bytes | dict[str, Any]] = {
    "a NUL in a note": {"note": "a\0b"},
    "a NUL in an id": {"job_id": "\0"},
    "an id longer than an index entry": {"job_id": "x" * 100_000},
    "no subject": {"job_id": None},
    "a time that is none": {"at_ms": 10**300},
    "a time before all calendars": {"at_ms": -(10**17)},
    "half a surrogate pair": b'{"act":"a","actor":"b","job_id":"\\ud800","at_ms":1,"id":"%s"}' % (b"0" * 32),
    "no JSON": b"\x00\xff",
    "a list": b"[1]",
    "megabytes": {"note": "x" * 3_000_000},
}


@pytest.mark.parametrize("case", FORGED)
async def test_a_forged_audit_entry_holds_up_neither_the_others_nor_the_outbox(
    stage: Stage, redis: Any, case: str
) -> None:
    form = FORGED[case]
    good = {"act": "replay", "actor": "ada", "job_id": "j", "at_ms": 1, "id": "00000000-0000-0000-0000-000000000001"}
    forged = form if isinstance(form, bytes) else msgspec.json.encode({**good, "id": "0" * 32, **form})
    await redis.rpush(keys.ACTS, forged, msgspec.json.encode(good))
    async with beside(stage, redis):
        await eventually(partial(rows, stage, "SELECT 1 FROM operator_acts WHERE job_id = 'j'"))
        await eventually(lambda: redis.exists(keys.OUTBOX_MARK))  # the relay restores pauses from the audit log first
        await eventually(lambda: _is_list_or_none(redis))
    assert not await redis.exists(keys.ACTS)
    assert len(await rows(stage, "SELECT 1 FROM operator_acts WHERE act = 'unreadable'")) == 1


async def test_a_hundred_keys_that_are_no_letters_do_not_stop_the_archiver(
    stage: Stage, met: UUID, redis: Any, mover: LetterMover
) -> None:
    for number in range(150):
        await redis.set(f"arq:dead:letter:w{number}", "no letter")
        await redis.zadd(keys.DEAD_LETTERS, {f"w{number}": number})
    job_id = await bury(redis, batch(met, 0))
    while await mover.move_some():
        pass
    assert [row.job_id for row in await rows(stage, "SELECT job_id FROM dead_letters")] == [job_id]
    assert await redis.zcard(keys.DEAD_LETTERS) == 0
    assert await redis.hget(keys.SET_ASIDE, "arq:dead:letter:w7") == b"1"
    assert await redis.get("arq:set-aside:arq:dead:letter:w7") == b"no letter"


async def test_letters_whose_list_was_overwritten_are_found_again(
    stage: Stage, met: UUID, redis: Any, mover: LetterMover
) -> None:
    first = await bury(redis, batch(met, 0))
    await redis.set(keys.DEAD_LETTERS, "no list")
    second = await bury(redis, batch(met, 1))
    while await mover.move_some():
        pass
    kept = {row.job_id for row in await rows(stage, "SELECT job_id FROM dead_letters")}
    assert kept == {first, second}
    assert await redis.zcard(keys.DEAD_LETTERS) == 0


@pytest.mark.parametrize("value", ["abc", {"moved": "abc"}, {"moved": str(2**63 - 1)}])
async def test_a_letter_is_moved_whatever_stands_in_the_place_of_the_counts(
    stage: Stage, met: UUID, redis: Any, mover: LetterMover, value: Any
) -> None:
    await bury(redis, batch(met, 0))
    await redis.delete(keys.DEAD_COUNTS)
    if isinstance(value, str):
        await redis.set(keys.DEAD_COUNTS, value)
    else:
        await redis.hset(keys.DEAD_COUNTS, mapping=value)
    assert await mover.move_some() == 1
    assert await mover.move_some() == 0


async def test_pauses_are_restored_over_what_is_no_hash(stage: Stage, redis: Any) -> None:
    await redis.execute_command(*told([Act("pause", "ada", target="queue:arq:low", note="look first")]))
    async with beside(stage, redis):
        await eventually(partial(rows, stage, "SELECT 1 FROM operator_acts"))
        await redis.flushdb()
        await redis.set(keys.PAUSED, "abc")
        await eventually(partial(_is_paused, redis))
    assert await redis.get(f"arq:set-aside:{keys.PAUSED}") == b"abc"


async def _is_paused(redis: Any) -> bool:
    return bool(await redis.type(keys.PAUSED) == b"hash" and await redis.hexists(keys.PAUSED, "queue:arq:low"))


async def test_a_letter_that_does_not_come_in_time_is_passed_over(stage: Stage, met: UUID, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, Redis.from_url(redis_url) as direct:
        first, second = await bury(direct, batch(met, 0)), await bury(direct, batch(met, 1))
        await direct.zadd(keys.DEAD_LETTERS, {first: 1})
        async with Redis.from_url(proxy.url, socket_timeout=0.3) as slow:
            mover = LetterMover(stage.engine, slow, logger())
            for nth in (1, 2):
                proxy.on(b"HMGET", "hang", nth=nth)
            with capture_logs() as lines:
                await eventually(mover.move_some)
            assert [line["job"] for line in lines if line["event"] == "dead_letter.immovable"] == [first]
        assert [row.job_id for row in await rows(stage, "SELECT job_id FROM dead_letters")] == [second]
        assert await direct.zscore(keys.DEAD_LETTERS, first) == 1


async def test_a_letter_longer_than_is_kept_is_measured_and_not_fetched(
    stage: Stage, met: UUID, redis: Any, mover: LetterMover
) -> None:
    long, short = await bury(redis, batch(met, 0)), await bury(redis, batch(met, 1))
    await redis.hset(f"arq:dead:letter:{long}", mapping={"body": b"x" * (MOST_BYTES + 1), "errors": b"x" * 2_000_000})
    sent = (await redis.info("stats"))["total_net_output_bytes"]
    while await mover.move_some():
        pass
    assert (await redis.info("stats"))["total_net_output_bytes"] - sent < 1_000_000
    found = {row.job_id: row for row in await rows(stage, "SELECT job_id, reason, body FROM dead_letters")}
    assert found[long].body is None
    assert f"its payload of {MOST_BYTES + 1} bytes is too long to be kept" in found[long].reason
    assert found[short].body


async def test_rows_of_a_queue_that_is_none_hold_up_no_others(stage: Stage, met: UUID, redis: Any) -> None:
    await redis.set("low", "no queue")
    async with stage.unit() as unit:
        (first,) = await unit.jobs.enqueue(batch(met, 0))
        (second,) = await unit.jobs.enqueue(batch(met, 1))
        await unit.commit()
    async with stage.engine.begin() as connection:
        await connection.execute(text("UPDATE outbox SET queue = 'low' WHERE job_id = :id"), {"id": first})
    async with beside(stage, redis):
        await eventually(partial(redis.zscore, keys.DEFAULT_QUEUE, second))
        await redis.delete("low")
        await eventually(partial(redis.zscore, "low", first))
