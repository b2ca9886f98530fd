"""Jobs that wait their turn, or for something."""

from __future__ import annotations

import pickle
import time
from io import StringIO
from typing import TYPE_CHECKING

import msgspec
import pytest
from rich.console import Console

from noteflow.infrastructure.queue import keys
from tests.integration.inspection.ground import WORKER
from tests.integration.inspection.why.arranged import deferred, next_in_line, parked
from tests.integration.inspection.why.asking import says
from worker.cli.jobs.stats import page
from worker.inspection import pausing
from worker.inspection.choice import Choice
from worker.inspection.job import read_job
from worker.inspection.listing import list_jobs
from worker.inspection.sources import moment
from worker.inspection.stats import read_stats

if TYPE_CHECKING:
    from tests.integration.inspection.ground import Ground


async def test_deferred(ground: Ground) -> None:
    await says(ground, await deferred(ground), "deferred", "deferred until", "in 1 h", command="jobs retry")


async def test_next_in_line(ground: Ground) -> None:
    await says(
        ground, await next_in_line(ground), "waiting", "the next to be claimed", "20 of 20 slots", command="jobs stats"
    )


async def test_in_line(ground: Ground) -> None:
    await ground.worker()
    await ground.redis.zadd("arq:queue", {f"earlier-{number}": number + 1 for number in range(3)})
    await says(ground, await ground.enqueue(), "waiting", "behind 3 due jobs", command="jobs stats")


async def test_redelivered(ground: Ground) -> None:
    job_id = await next_in_line(ground)
    await ground.store_ending(job_id)
    await says(ground, job_id, "waiting", "applied at", "nothing will change", command="jobs stats")


async def handed_back(ground: Ground) -> str:
    await ground.worker()
    job_id = await ground.enqueue(defer_by=20)
    told = {"error": "noteflow.domain.errors.ConcurrencyConflict", "message": "others were first", "at_ms": 1}
    await ground.redis.set(f"arq:retry:{job_id}", 2)
    await ground.redis.rpush(f"arq:errors:{job_id}", msgspec.json.encode(told))
    return job_id


async def test_handed_back(ground: Ground) -> None:
    await says(
        ground, await handed_back(ground), "handed_back", "handed back until", "others were first", command="jobs retry"
    )


async def test_handed_back_for_a_lock(ground: Ground) -> None:
    job_id = await handed_back(ground)
    told = {"n:conflict": 2, "at:conflict": 1, "by:conflict": WORKER}
    await ground.redis.hset(f"arq:handed-back:{job_id}", mapping=told)
    await says(ground, job_id, "handed_back", "2 times (conflict)", command="check")


async def test_handed_back_for_two_reasons(ground: Ground) -> None:
    await ground.worker()
    job_id = await ground.enqueue(defer_by=20)
    told = {"n:unavailable": 3, "at:unavailable": 1, "by:unavailable": WORKER, "n:drain": 1, "at:drain": 2}
    await ground.redis.hset(f"arq:handed-back:{job_id}", mapping=told)
    await says(ground, job_id, "handed_back", "handed back 4 times (drain 1, unavailable 3), now until", command="jobs")


async def test_asked_for(ground: Ground) -> None:
    await ground.worker()
    await says(
        ground,
        await ground.ask_for(ground.ingestion()),
        "outbox",
        "is not in Redis yet",
        "within seconds",
        command="jobs workers",
    )


async def test_asked_for_without_workers(ground: Ground) -> None:
    await says(ground, await ground.ask_for(ground.ingestion()), "outbox", "no worker is alive", command="run")


async def test_parked(ground: Ground) -> None:
    await says(
        ground,
        await parked(ground),
        "parked",
        "parked since",
        "state change 2 of meeting",
        "in 15 min",
        command="jobs meeting",
    )


async def test_parked_behind_a_dead_letter(ground: Ground) -> None:
    job_id = await parked(ground)
    before = f"change_meeting_state:{ground.meeting}:2:STOPPED"
    await ground.store_letter(before)
    await ground.sql("UPDATE dead_letters SET kind = 'change_meeting_state'")
    await says(
        ground,
        job_id,
        "parked",
        f"waits for state change 2 of meeting {ground.meeting}, behind the dead letter {before}",
        "a replay of that makes this one go on by itself",
        "in 30 d",
        command=f"jobs dead replay {before}",
    )
    stats = await read_stats(ground.sources)
    assert stats.parked_behind_dead == 1
    screen = Console(file=StringIO(), width=120)
    screen.print(page(stats, 120))
    assert "1 job behind a dead letter" in screen.file.getvalue()  # type: ignore[attr-defined]


async def test_missing(ground: Ground) -> None:
    job_id = await ground.ask_for(ground.ingestion())
    await ground.sql("UPDATE outbox SET state = 'dispatched', dispatched_at = now(), due_at = now() + interval '15 s'")
    await says(ground, job_id, "missing", "is not there any more", command="jobs retry")


async def test_payload_missing(ground: Ground) -> None:
    await ground.worker()
    job_id = await ground.enqueue()
    await ground.redis.delete(f"arq:job:{job_id}")
    await says(ground, job_id, "payload_missing", "payload is gone", command="jobs drop")


async def test_half_lost(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.redis.zrem("arq:queue", job_id)
    await says(ground, job_id, "half_lost", "stands in no queue", command="jobs retry")


async def test_waiting_without_postgresql(ground: Ground) -> None:
    await ground.take_postgresql_away()
    await says(ground, await next_in_line(ground), "waiting", "next", "PostgreSQL is away", command="jobs stats")


FAR = (40_000_000_000_000, 50_000_000_000_000, 253_370_764_800_000, 253_402_300_799_999)
"""The years 3237, 3554, and the first and the last moment of 9999, in unix ms."""


@pytest.mark.parametrize("due_ms", FAR)
async def test_a_job_deferred_to_a_far_date_is_deferred_and_not_paused(ground: Ground, due_ms: int) -> None:
    await ground.worker()
    job_id = await ground.enqueue()
    await ground.redis.zadd("arq:queue", {job_id: due_ms})
    await says(ground, job_id, "deferred", "it is deferred until", command=f"jobs retry {job_id}")
    facts, _ = await read_job(ground.sources, job_id)
    assert facts.footprint is not None
    assert facts.footprint.place is not None
    assert (facts.footprint.place.is_shelved, facts.footprint.place.due_at is None) == (False, False)
    (queue,) = (await read_stats(ground.sources)).queues
    assert (queue.deferred, queue.shelved) == (1, 0)
    (row,) = (await list_jobs(ground.sources, Choice(), limit=5)).rows
    assert (row.state, row.detail) == ("deferred", None)


async def test_a_job_deferred_beyond_every_date_is_deferred_too(ground: Ground) -> None:
    """As by a stock producer's `_defer_by` of thousands of years; the score lies where shelves would."""
    await ground.worker()
    job_id = await ground.enqueue()
    await ground.redis.zadd("arq:queue", {job_id: keys.SHELVES_FROM_MS + 5})
    await says(ground, job_id, "deferred", "until an unknown time", command=f"jobs retry {job_id}")


async def test_what_is_set_aside_is_told_from_what_is_deferred_far(ground: Ground) -> None:
    await ground.worker()
    await pausing.pause(ground.sources, "kind", "ingest_segments", reason="a bad deploy", actor="ada")
    paused, far = await ground.enqueue_many(2)
    await ground.redis.zadd("arq:queue", {far: FAR[-1]})
    await ground.shelve()
    (queue,) = (await read_stats(ground.sources)).queues
    assert (queue.deferred, queue.shelved) == (2, 1)
    rows = {row.job_id: row for row in (await list_jobs(ground.sources, Choice(), limit=5)).rows}
    assert rows[paused].detail == "its kind is paused, or was until now"
    assert (rows[far].detail, rows[far].at) == (None, moment(FAR[-1]))


async def test_released_because_it_is_a_pickle(ground: Ground) -> None:
    await ground.worker()
    await ground.redis.set(
        "arq:job:stock", pickle.dumps({"t": None, "f": "ingest_segments", "a": (), "k": {}, "et": 1})
    )
    await ground.redis.zadd("arq:queue", {"stock": time.time() * 1000 + 20_000})
    told = {"n:pickle_refused": 1, "at:pickle_refused": 1, "by:pickle_refused": WORKER}
    await ground.redis.hset("arq:handed-back:stock", mapping=told)
    await says(ground, "stock", "pickle_refused", "refused it as a pickle", "ALLOW_PICKLE", command="check")
