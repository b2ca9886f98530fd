"""Jobs that nobody claims: paused, or no worker can."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from tests.integration.inspection.why.arranged import paused_queue
from tests.integration.inspection.why.asking import ask, says
from worker.inspection import pausing

if TYPE_CHECKING:
    from tests.integration.inspection.ground import Ground


async def test_paused_queue(ground: Ground) -> None:
    await says(
        ground,
        await paused_queue(ground),
        "paused",
        "paused by ada",
        "disk is full",
        command="jobs resume queue arq:queue",
    )


async def paused_kind(ground: Ground) -> str:
    await ground.worker()
    await pausing.pause(ground.sources, "kind", "ingest_segments", reason="a bad deploy", actor="ada")
    job_id = await ground.enqueue()
    await ground.shelve()
    return job_id


async def test_paused_kind(ground: Ground) -> None:
    await says(ground, await paused_kind(ground), "paused", "a bad deploy", command="jobs resume kind ingest_segments")


async def test_resumed_kind(ground: Ground) -> None:
    job_id = await paused_kind(ground)
    await pausing.resume(ground.sources, "kind", "ingest_segments", actor="ada")
    await says(ground, job_id, "waiting", "paused until now", "its old place", command="jobs stats")


async def test_no_worker(ground: Ground) -> None:
    await says(ground, await ground.enqueue(), "no_worker", "no live worker serves arq:queue", command="run")


async def test_only_a_dead_worker(ground: Ground) -> None:
    await ground.worker(age_s=25)
    await says(ground, await ground.enqueue(), "no_worker", "the last one beat 25 s ago", command="run")


async def test_another_queue_is_served(ground: Ground) -> None:
    await ground.worker(queues=["other"])
    await says(ground, await ground.enqueue(), "no_worker", "no live worker serves arq:queue", command="run")


async def test_unknown_function(ground: Ground) -> None:
    await ground.worker(functions=["change_meeting_state"])
    job_id = await ground.enqueue()
    await ground.redis.set(f"arq:unknown:{job_id}", int(time.time() * 1000))
    await says(ground, job_id, "unknown_function", "knows its function ingest_segments", command="jobs work")


async def test_in_a_read_only_redis(ground: Ground) -> None:
    job_id = await paused_queue(ground)
    await ground.worker(age_s=20)
    await ground.redis.replicaof("127.0.0.1", "1")
    await says(ground, job_id, "redis_read_only", "is a read-only replica", "no worker can", command="check")


async def postgresql_away_for_workers(ground: Ground) -> str:
    await ground.worker(ready=False, excuses=["waiting for postgresql"])
    return await ground.enqueue()


async def test_postgresql_away_for_workers(ground: Ground) -> None:
    await says(
        ground,
        await postgresql_away_for_workers(ground),
        "postgresql_away",
        "PostgreSQL is away: 1 worker",
        command="check",
    )


async def test_postgresql_without_room(ground: Ground) -> None:
    full = "PostgreSQL has no room left on its disk (SQLSTATE 53100)"
    await ground.worker(ready=False, excuses=[f"waiting for postgresql: {full}"])
    await says(ground, await ground.enqueue(), "postgresql_away", f"{full}: 1 worker of 1 held back", command="check")


async def test_workers_stopping(ground: Ground) -> None:
    await ground.worker(ready=False, excuses=["stopping"])
    await says(
        ground, await ground.enqueue(), "not_ready", "no worker of arq:queue is ready: stopping", command="jobs workers"
    )


async def test_handed_back_by_an_outage(ground: Ground) -> None:
    await ground.worker(ready=False, excuses=["waiting for postgresql"])
    await says(ground, await ground.enqueue(defer_by=20), "postgresql_away", "PostgreSQL is away", command="check")


async def test_that_postgresql_is_away_is_said_once(ground: Ground) -> None:
    job_id = await postgresql_away_for_workers(ground)
    await ground.take_postgresql_away()
    answer = await ask(ground, job_id)
    assert answer.code == "postgresql_away"
    assert answer.sentence.count("PostgreSQL is away") == 1
