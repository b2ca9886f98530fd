"""The connection ends around the moment of storing: nobody can tell whether it was stored, and it counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job
from redis.asyncio import Redis

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.codec import job_deserializer
from tests.chaos.scene import PATIENCE_S
from tests.proxy import Proxy
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.chaos.scene import Scene
    from tests.proxy import When

HITS = 20


async def test_twenty_jobs_whose_connection_is_cut_while_they_are_stored_take_effect_once_each(scene: Scene) -> None:
    async with Proxy(scene.database_url) as proxy:
        with scene.workers(1, database_url=proxy.url):
            for hit in range(HITS):
                # Each kind of job, cut before and after PostgreSQL has it, in turn. The token is how its id begins:
                # the kind alone also stands in the text of statements that a worker prepares for itself.
                command, kind = (
                    (scene.batch(), "ingest_segments") if hit % 2 else (scene.move(), "change_meeting_state")
                )
                token = f"{kind}:{scene.meeting}".encode()
                rule = proxy.on(token, "reset", when="after" if hit // 2 % 2 else "before")
                (job,) = await scene.enqueue(command)
                await scene.ended(job)
                assert rule.done == 1
            await scene.peace()

    verdict = await scene.verdict()
    assert verdict.jobs == HITS
    assert verdict.is_clean, verdict.crimes
    outcomes = [line.detail for line in scene.account.read_on() if line.point == "committed"]
    assert outcomes.count("already_applied") == HITS // 2
    assert outcomes.count("applied") == HITS // 2


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_job_cancelled_while_it_is_stored_is_whole_or_not_there_and_costs_no_connection(
    scene: Scene, when: When
) -> None:
    async with Proxy(scene.database_url) as proxy:
        with scene.workers(1, database_url=proxy.url, MAX_JOBS="1"):
            rule = proxy.on(f"ingest_segments:{scene.meeting}".encode(), "hang", when=when)
            (job,) = await scene.enqueue(scene.batch())
            body = await _body_of_running(scene, job)
            await eventually(rule.happened.is_set, within_s=PATIENCE_S)
            async with ArqRedis.from_url(scene.redis_url) as redis:
                assert await Job(job, redis, _deserializer=job_deserializer).abort(timeout=PATIENCE_S)
            assert [line.detail for line in scene.account.read_on() if line.point == "ended"] == ["CancelledError"]
            assert (await scene.verdict()).is_clean is (when == "after")

            await scene.enqueue(scene.move(), scene.batch())
            await scene.deliver_again(job, body)
            await scene.peace()

    verdict = await scene.verdict()
    assert verdict.is_clean, verdict.crimes


async def _body_of_running(scene: Scene, job: str) -> bytes:
    async with Redis.from_url(scene.redis_url) as redis:
        body = await redis.get(keys.job(job))
    assert isinstance(body, bytes)
    return body
