"""Jobs of which nothing is known."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.inspection.why.asking import ask, says
from worker.outbox.epoch import notice_loss

if TYPE_CHECKING:
    from tests.integration.inspection.ground import Ground


async def lost_with_redis(ground: Ground) -> str:
    job_id = await ground.enqueue()
    await notice_loss(ground.sources.engine, ground.redis)
    await ground.redis.flushall()
    await ground.redis.set("arq:outbox:mark", "another")
    await notice_loss(ground.sources.engine, ground.redis)
    return job_id


async def test_lost_with_redis(ground: Ground) -> None:
    await says(
        ground, await lost_with_redis(ground), "unknown", "or Redis lost it", "in doubt, have its producer say it again"
    )


async def test_lost_with_postgresql(ground: Ground) -> None:
    await ground.redis.hset("arq:postgresql:lost", mapping={"since": 1_790_000_000_000, "at": 1_790_000_100_000})
    job_id = await ground.enqueue()
    await ground.redis.delete(f"arq:job:{job_id}", "arq:queue")
    await says(ground, job_id, "unknown", "or PostgreSQL lost it with what was committed after 2026-09-21", "in doubt")


async def test_unknown(ground: Ground) -> None:
    await says(ground, "never-heard-of", "unknown", "never enqueued, or it ended and was pruned")


async def cut(ground: Ground) -> str:
    await lost_with_redis(ground)
    return f"ingest_segments:{str(ground.meeting)[:-12]}"


async def test_cut(ground: Ground) -> None:
    await says(
        ground,
        await cut(ground),
        "unknown",
        "or Redis lost it",
        "perhaps it was cut; python -m worker jobs ls --meeting … lists whole ones",
    )


async def cut_late(ground: Ground) -> str:
    return (await ground.enqueue())[:-1]


async def test_cut_late(ground: Ground) -> None:
    await says(ground, await cut_late(ground), "unknown", "perhaps it was cut", "--meeting ")


async def test_unknown_without_postgresql(ground: Ground) -> None:
    await ground.take_postgresql_away()
    await says(ground, "never-heard-of", "unknown", "which PostgreSQL would tell")


async def test_unknown_without_redis(ground: Ground) -> None:
    await ground.take_redis_away()
    await says(ground, "never-heard-of", "unknown", "does not answer", "cannot be told")


async def test_an_id_as_our_producers_make_them_is_not_taken_for_a_cut_one(ground: Ground) -> None:
    whole = f"change_meeting_state:{ground.meeting}:7:STOPPED"
    assert "cut" not in (await ask(ground, whole)).sentence
    answer = await ask(ground, await cut_late(ground))
    assert f"jobs ls --meeting {ground.meeting} lists" in answer.sentence
    assert "say it again" not in (await ask(ground, await cut(ground))).sentence
