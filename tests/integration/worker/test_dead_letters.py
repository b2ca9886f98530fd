"""Dead letters leave Redis for PostgreSQL, whatever is in them."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg
import pytest
from redis.asyncio import Redis

from noteflow.infrastructure.persistence.dead_letter_acts import Replayed, replay_letter
from noteflow.infrastructure.persistence.dead_letter_query import Matching
from noteflow.infrastructure.persistence.dead_letters import list_letters, show_letter
from noteflow.infrastructure.queue.cutting import jobs_of, payload_of
from tests.databases import driver_url
from tests.integration.worker.letters import bury
from tests.integration.worker.relays import relaying
from tests.integration.worker.stage import Stage, batch
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.dead_letters import LetterMover
from worker.dead_letters.reading import MOST_LETTERS
from worker.engine.dead_letters import DeadLetters
from worker.logs import logger


async def test_a_letter_is_kept_whole_and_gone_from_redis(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    command = batch(met, 0)
    job_id = await bury(redis, command)
    original = await DeadLetters(redis).show(job_id)
    assert original is not None
    assert await mover.move_some() == 1
    assert await mover.move_some() == 0

    (kept,) = await list_letters(stage.engine, Matching())
    shown = await show_letter(stage.engine, kept.id)
    assert shown is not None
    letter, acts = shown[0].letter, shown[1]
    assert (letter.job_id, letter.kind, letter.queue, letter.reason) == (
        job_id, "ingest_segments", "arq:queue", "refused: because",
    )  # fmt: skip
    assert letter.body == original.body == payload_of(jobs_of(command)[0], 1_700_000_000_000)
    assert letter.errors == (
        {"error": "builtins.KeyError", "message": "a key", "at_ms": 1_700_000_000_500, "attempt": 1},
    )
    assert (letter.meeting_id, letter.tries, letter.crashes, letter.worker) == (met, 2, 0, "w1")
    assert letter.died_at == datetime.fromtimestamp(original.died_ms / 1000, UTC)
    assert letter.enqueued_at == datetime.fromtimestamp(1_700_000_000, UTC)
    assert acts == []
    assert await redis.keys("arq:dead:letter*") == []
    assert (await DeadLetters(redis).counts())["moved"] == 1


async def test_the_outbox_row_ends_in_the_transaction_that_keeps_the_letter(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    async with stage.unit() as uow:
        (job_id,) = await uow.jobs.enqueue(batch(met, 0))
        (other,) = await uow.jobs.enqueue(batch(met, 1))
        await uow.commit()
    await bury(redis, batch(met, 0))
    # While somebody holds the row, neither can be seen.
    connection = await asyncpg.connect(driver_url(stage.judge.database_url))
    try:
        async with connection.transaction():
            await connection.execute("SELECT FROM outbox WHERE job_id = $1 FOR UPDATE", job_id)
            moving = asyncio.create_task(mover.move_some())
            await eventually(lambda: _waits_for_a_lock(stage))
            assert await stage.letters() == []
            assert await redis.zcard("arq:dead:letters") == 1, "out of Redis before it was kept"
        await moving
    finally:
        await connection.close()
    assert len(await stage.letters()) == 1
    assert await stage.outbox() == {other: "waiting"}


async def test_a_crash_before_redis_forgets_moves_the_letter_again_and_keeps_it_once(
    stage: Stage, met: UUID, redis: Redis, redis_url: str
) -> None:
    job_id = await bury(redis, batch(met, 0))
    async with Proxy(redis_url) as proxy:
        forgetting = proxy.on(b"'moved'", "reset")  # a word of the script that forgets
        cut = Redis.from_url(proxy.url)
        crashing = LetterMover(stage.engine, cut, logger())
        with pytest.raises(Exception, match=r"^Redis at 127\.0\.0\.1:\d+/0 does not answer \(\w+\)$"):
            await crashing.move_some()
        assert forgetting.done == 1
        await cut.aclose()
    assert len(await stage.letters()) == 1

    # Meanwhile a person has it replayed: moving it again must not end the new row.
    (kept,) = await list_letters(stage.engine, Matching())
    assert await replay_letter(stage.engine, kept.id, actor="ada") is Replayed.REPLAYED
    await LetterMover(stage.engine, redis, logger()).move_some()
    assert [row["state"] for row in await stage.letters()] == ["replayed"]
    assert await stage.outbox() == {job_id: "waiting"}
    assert await redis.zcard("arq:dead:letters") == 0


async def test_a_job_that_dies_twice_leaves_two_letters(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    for _ in range(2):
        await bury(redis, batch(met, 0))
        await mover.move_some()
        died_ms = time.time_ns() // 1_000_000
        await eventually(partial(_is_past, died_ms), every_s=0.001)
    assert len(await stage.letters()) == 2


async def test_a_letter_that_is_replaced_while_it_is_moved_stays(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    job_id = await bury(redis, batch(met, 0))
    keep = mover._keep

    async def keep_and_die_again(found: Any) -> None:
        await keep(found)
        await redis.hset(f"arq:dead:letter:{job_id}", "died_ms", "1800000000000")  # type: ignore[misc]  # redis's types

    mover._keep = keep_and_die_again  # type: ignore[method-assign]  # for once
    await mover.move_some()
    assert await redis.zcard("arq:dead:letters") == 1
    mover._keep = keep  # type: ignore[method-assign]  # as it was
    await mover.move_some()
    assert len(await stage.letters()) == 2


async def test_several_movers_at_once_keep_every_letter_once(stage: Stage, met: UUID, redis: Redis) -> None:
    number = 2 * MOST_LETTERS + 20
    buried = [await bury(redis, batch(met, place)) for place in range(number)]
    async with relaying(stage.engine, redis, number=3, kind=LetterMover):
        await eventually(lambda: _none_in(redis))
        await bury(redis, batch(met, number))  # and one that comes while they rest
        await eventually(lambda: _kept(stage, number + 1))
    assert {row["job_id"] for row in await stage.letters()} > set(buried)


ODD: dict[str, tuple[bytes, dict[bytes, bytes]]] = {
    "an id that is not UTF-8": (b"\xff\xfe", {b"reason": b"the job's id is not UTF-8", b"died_ms": b"1"}),
    "an id with a NUL": (b"a\x00b", {b"reason": b"odd", b"died_ms": b"1"}),
    "an id too long for an index": (b"x" * 9_000, {b"reason": b"long", b"died_ms": b"1"}),
    "a NUL in the reason and in an error": (
        b"nul",
        {b"reason": b"a\x00b", b"errors": rb'[{"error":"E","message":"a\u0000b\ud800"}]', b"died_ms": b"1"},
    ),
    "no field that is known": (b"bare", {b"something": b"else"}),
    "numbers that are none": (
        b"nan",
        {b"tries": b"many", b"died_ms": b"9" * 30, b"enqueued_ms": b"-", b"errors": b"{"},
    ),
    "a body that nobody can read": (b"body", {b"body": bytes(range(256)), b"died_ms": b"1"}),
    "an endless reason": (b"endless", {b"reason": b"r" * 1_000_000, b"died_ms": b"1"}),
}


@pytest.mark.parametrize(("key", "form"), ODD.values(), ids=ODD)
async def test_no_letter_is_too_odd_to_be_kept(
    key: bytes, form: dict[bytes, bytes], stage: Stage, redis: Redis, mover: LetterMover
) -> None:
    await redis.hset(b"arq:dead:letter:" + key, mapping=form)  # type: ignore[misc,arg-type]  # redis's types
    await redis.zadd("arq:dead:letters", {key: 1})
    await mover.move_some()
    (kept,) = await stage.letters()
    assert kept["body"] == form.get(b"body")
    assert await redis.keys("arq:dead:letter*") == []


async def test_a_letter_that_postgresql_refuses_does_not_keep_the_others(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await stage.judge.ask("ALTER TABLE dead_letters ADD CONSTRAINT picky CHECK (reason <> 'refused: this one')")
    refused = await bury(redis, batch(met, 0), reason="refused: this one")
    others = [await bury(redis, batch(met, place)) for place in (1, 2)]
    assert await mover.move_some() == 3
    assert sorted(row["job_id"] for row in await stage.letters()) == sorted(others)
    assert await redis.zrange("arq:dead:letters", 0, -1) == [refused.encode()]
    assert await mover.move_some() == 0, "it is tried again and again"


async def test_a_key_without_a_letter_is_forgotten(stage: Stage, redis: Redis, mover: LetterMover) -> None:
    await redis.zadd("arq:dead:letters", {"evicted": 1})
    await mover.move_some()
    assert await redis.zcard("arq:dead:letters") == 0
    assert await stage.letters() == []


async def test_where_there_is_nothing_to_move_one_command_finds_out(stage: Stage, redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, Redis.from_url(proxy.url) as redis:
        mover = LetterMover(stage.engine, redis, logger())
        await mover.move_some()
        proxy.forget()
        await mover.move_some()
        assert proxy.commands == ["ZRANGE"]


def _is_past(moment_ms: int) -> bool:
    return time.time_ns() // 1_000_000 > moment_ms


async def _none_in(redis: Redis) -> bool:
    return not await redis.exists("arq:dead:letters")


async def _kept(stage: Stage, number: int) -> bool:
    return len(await stage.letters()) == number


async def _waits_for_a_lock(stage: Stage) -> bool:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool((await stage.judge.ask(waiting))[0]["count"])
