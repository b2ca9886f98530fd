"""The audit of what operators did."""

from __future__ import annotations

import asyncio

from tests.integration.inspection.acting import act
from tests.integration.inspection.ground import Ground
from worker.inspection.acts import Act, move_acts, read_acts, record
from worker.inspection.steering import Verb


async def test_acts_wait_in_redis_while_postgresql_is_away_and_are_moved_once(ground: Ground) -> None:
    engine = ground.sources.engine
    job_id = await ground.enqueue(defer_by=60)
    ground.sources.postgresql_problem = "gone"
    assert (await act(ground, Verb.RETRY, job_id)).done
    assert await ground.redis.llen("arq:acts") == 1
    assert [each.act for each in await read_acts(ground.sources)] == ["retry"]
    moved = await asyncio.gather(*(move_acts(engine, ground.redis) for _ in range(3)))
    assert sum(moved) == 1
    assert await ground.redis.exists("arq:acts") == 0
    (row,) = await ground.sql("SELECT act, actor, job_id, note, acted_at <= kept_at AS in_order FROM operator_acts")
    assert tuple(row) == ("retry", "ada", job_id, "for the test", True)


async def test_hundreds_of_acts_told_meanwhile_are_all_kept_by_several_movers(ground: Ground) -> None:
    ground.sources.postgresql_problem = "gone"
    await record(ground.sources, [Act("reveal", "ada", job_id=f"job-{number}") for number in range(1_200)])
    await asyncio.gather(*(move_acts(ground.sources.engine, ground.redis) for _ in range(2)))
    assert [row.number for row in await ground.sql("SELECT count(*) AS number FROM operator_acts")] == [1_200]


async def test_acts_are_kept_at_once_in_postgresql_while_redis_is_away(ground: Ground) -> None:
    await ground.take_redis_away()
    await record(ground.sources, [Act("reveal", "ada", job_id="job-1")])
    assert [each.act for each in await read_acts(ground.sources)] == ["reveal"]
