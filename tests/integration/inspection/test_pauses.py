"""A pause outlives a Redis that forgets it, and a resume outlives the pause."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from noteflow.infrastructure.persistence.engine import create_engine
from tests.integration.inspection.ground import Ground
from tests.integration.worker.relays import relaying
from tests.waiting import eventually
from worker.inspection import kept_pauses, pausing
from worker.inspection.acts import read_acts
from worker.inspection.fleet import read_fleet
from worker.inspection.kept_pauses import Restored, restore_pauses
from worker.inspection.pauses import Pause


async def pauses(ground: Ground) -> list[Pause]:
    """As everybody is shown them."""
    return (await read_fleet(ground.sources, await ground.sources.now_ms())).pauses


async def restore(ground: Ground) -> Restored:
    """As a relay does, or `reconcile --repair`."""
    return await restore_pauses(ground.sources.engine, ground.redis)


async def pause(ground: Ground, name: str = "ingest_segments", reason: str = "a drill") -> None:
    await pausing.pause(ground.sources, "kind", name, reason=reason, actor="ada")


async def resume(ground: Ground, name: str = "ingest_segments") -> bool:
    return await pausing.resume(ground.sources, "kind", name, actor="bob")


async def test_a_relay_puts_the_pauses_back_before_the_jobs_when_redis_was_emptied(ground: Ground) -> None:
    await pause(ground)
    await pausing.pause(ground.sources, "queue", "arq:queue", reason="moving house", actor="ada")
    before = await pauses(ground)
    await ground.ask_for(ground.ingestion())
    found: list[Any] = []

    async def is_back() -> bool:
        found.append((await ground.redis.zcard("arq:queue"), await ground.redis.hlen("arq:paused")))
        return bool(found[-1] == (1, 2))

    with capture_logs() as lines:
        async with relaying(ground.sources.engine, ground.redis, rest_s=0.05):
            await eventually(is_back)
            await ground.redis.flushall()
            await eventually(is_back)
    assert await pauses(ground) == before
    assert (1, 0) not in found
    (told,) = [line for line in lines if line["event"] == "pauses.restored"]
    assert (told["paused"], told["resumed"]) == (2, 0)


async def test_a_redis_that_came_back_older_forgets_the_pause_that_was_ended_since(ground: Ground) -> None:
    await pause(ground, "old")
    await pause(ground)
    older = await ground.redis.hgetall("arq:paused")
    assert await resume(ground, "old")
    await pause(ground, reason="another")
    await ground.redis.delete("arq:paused")
    await ground.redis.hset("arq:paused", mapping=older)
    assert await restore(ground) == Restored(paused=0, resumed=1)
    assert [pause.name for pause in await pauses(ground)] == ["ingest_segments"]


async def test_what_is_newer_or_was_set_by_hand_stays(ground: Ground) -> None:
    await pause(ground)
    assert await resume(ground)
    await ground.redis.hset("arq:paused", "function:ingest_segments", "by hand")
    await ground.redis.hset("arq:paused", "queue:other", "by hand too")
    assert not await restore(ground)
    assert [pause.reason for pause in await pauses(ground)] == ["by hand", "by hand too"]


async def test_a_pause_that_only_postgresql_remembers_can_be_ended(ground: Ground) -> None:
    await pause(ground)
    await ground.redis.flushall()
    assert await resume(ground)
    assert not await resume(ground)
    assert not await restore(ground)
    assert await pauses(ground) == []


async def test_a_resume_wins_also_while_a_relay_restores(ground: Ground, monkeypatch: pytest.MonkeyPatch) -> None:
    await pause(ground)
    await ground.redis.flushall()
    resuming: list[asyncio.Task[bool]] = []
    apply = kept_pauses._apply

    async def interrupted(store: Any, acts: Any) -> Restored:
        resuming.append(asyncio.create_task(resume(ground)))
        await eventually(_somebody_waits_for_a_lock(ground))
        return await apply(store, acts)

    monkeypatch.setattr(kept_pauses, "_apply", interrupted)
    await restore(ground)
    assert await resuming[0]
    assert await pauses(ground) == []


@pytest.mark.parametrize("late_s", [-30, 30])
async def test_the_later_act_wins_whatever_the_clocks_of_two_servers_say(ground: Ground, late_s: int) -> None:
    await pause(ground)
    await ground.sql("UPDATE operator_acts SET acted_at = acted_at + make_interval(secs => :late)", late=late_s)
    assert await resume(ground)
    await ground.redis.flushall()
    assert not await restore(ground)


async def test_while_postgresql_is_away_redis_alone_keeps_a_pause_and_tells_it_later(ground: Ground) -> None:
    engine = ground.sources.engine
    ground.sources.engine = unreachable = await _nowhere()
    await pause(ground)
    assert "reached" in str(ground.sources.postgresql_problem)
    assert [pause.reason for pause in await pauses(ground)] == ["a drill"]
    ground.sources.engine, ground.sources.postgresql_problem = engine, None
    await unreachable.dispose()

    assert not await restore(ground)  # which tells PostgreSQL what Redis was told
    await ground.redis.flushall()
    assert await restore(ground) == Restored(paused=1)


async def test_a_relay_that_hangs_while_it_restores_keeps_nobody_from_pausing(ground: Ground) -> None:
    async with ground.sources.engine.connect() as hanging:
        await hanging.execute(text("SELECT pg_advisory_lock(5018278)"))
        await pause(ground)
        assert [pause.reason for pause in await pauses(ground)] == ["a drill"]
        assert ground.sources.postgresql_problem == "PostgreSQL did not answer in time"
        await hanging.execute(text("SELECT pg_advisory_unlock(5018278)"))
    ground.sources.postgresql_problem = None
    assert await resume(ground)
    assert ground.sources.postgresql_problem is None


async def test_an_act_that_no_command_wrote_holds_up_nobody(ground: Ground) -> None:
    await ground.redis.rpush("arq:acts", b"\xff\0 rubbish", msgspec.json.encode({"act": 1}))
    await pause(ground)
    await ground.redis.flushall()
    assert await restore(ground) == Restored(paused=1)
    assert sorted(act.act for act in await read_acts(ground.sources)) == ["pause", "unreadable", "unreadable"]


def _somebody_waits_for_a_lock(ground: Ground) -> Any:
    async def waits() -> bool:
        (row,) = await ground.sql("SELECT count(*) AS number FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")
        return bool(row.number)

    return waits


async def _nowhere() -> AsyncEngine:
    return create_engine("postgresql://nobody@127.0.0.1:1/nothing", connect_timeout_s=1.0)
