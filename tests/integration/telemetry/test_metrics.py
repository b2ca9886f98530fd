"""The numbers are those of what really happened."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Meeting, Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.inspection.hostile import KINDS, VALUES
from tests.integration.telemetry.conftest import Burst
from tests.unit.telemetry.registry import Everything, everything
from worker.http.probes import Probes
from worker.inspection.sources import Sources
from worker.outbox.dispatching import dispatch_due
from worker.telemetry.fleet import read_fleet_state
from worker.telemetry.own import Reachable

QUEUE = "arq:queue"


@dataclass
class Ground:
    """Both servers, and a worker's metrics."""

    metrics: Everything
    engine: AsyncEngine
    redis: Redis
    jobs: JobClient
    meeting: MeetingId

    async def look(self) -> None:
        """As a scrape does."""
        self.metrics.fleet.state = await read_fleet_state(Sources(self.redis, self.engine, QUEUE))

    def value(self, name: str, **labels: Any) -> float | None:
        return self.metrics.registry.get_sample_value(f"noteflow_{name}", labels)

    async def unit(self) -> SqlAlchemyUnitOfWork:
        return SqlAlchemyUnitOfWork(create_session_factory(self.engine), "meetings")


@pytest.fixture
async def ground(database_url: str, redis_url: str) -> AsyncIterator[Ground]:
    engine = create_engine(database_url)
    async with SqlAlchemyUnitOfWork(create_session_factory(engine), "meetings") as uow:
        meeting = await uow.meetings.create(Meeting.create(title="Monday"))
        await uow.commit()
    async with Redis.from_url(redis_url) as redis, JobClient(redis) as jobs:
        yield Ground(everything(), engine, redis, jobs, meeting.id)
    await engine.dispose()


def batch(meeting: MeetingId, number: int, text: str = "hello") -> IngestSegments:
    return IngestSegments(meeting, (Segment(meeting, number, text, 0.0, 1.0),))


async def test_a_worker_counts_what_it_starts_and_how_it_ends(ground: Ground, burst: Burst) -> None:
    meeting = ground.meeting
    await ground.jobs.enqueue(batch(meeting, 1))
    await burst(ground.metrics.jobs, ground.metrics.jobs.recorded)
    await ground.jobs.enqueue_many(
        [
            batch(meeting, 1, "other words"),
            batch(meeting, 2),
            batch(MeetingId(uuid4()), 3),
            ChangeMeetingState(meeting, MeetingState.RECORDING, 1),
            ChangeMeetingState(meeting, MeetingState.COMPLETED, 9),
        ]
    )
    await ground.redis.set("arq:job:odd", b'{"t":null,"f":"%s","a":[],"k":{},"et":1}' % (b"no" * 40))
    await ground.redis.zadd(QUEUE, {"odd": 1})
    await burst(ground.metrics.jobs, ground.metrics.jobs.recorded)

    finished = {
        (kind, outcome): ground.value("jobs_finished_total", kind=kind, outcome=outcome)
        for kind in ("ingest_segments", "change_meeting_state", "other")
        for outcome in ("applied", "parked", "dead")
    }
    assert {key: number for key, number in finished.items() if number} == {
        ("ingest_segments", "applied"): 2,
        ("ingest_segments", "parked"): 1,
        ("ingest_segments", "dead"): 1,
        ("change_meeting_state", "applied"): 1,
        ("change_meeting_state", "parked"): 1,
        ("other", "dead"): 1,
    }
    assert ground.value("jobs_started_total", kind="ingest_segments") == 4
    assert ground.value("attempts_total", kind="ingest_segments", reason="succeeded") == 3
    assert ground.value("attempts_total", kind="ingest_segments", reason="refused") == 1
    assert ground.value("freshness_lag_seconds_count", kind="ingest_segments") == 2
    assert ground.value("job_wait_seconds_count", kind="ingest_segments") == 4
    assert ground.value("job_duration_seconds_count", kind="other") == 1


async def test_the_queue_is_told_by_what_is_due_deferred_and_enqueued(ground: Ground) -> None:
    await ground.jobs.enqueue_many([batch(ground.meeting, number) for number in range(3)])
    await ground.jobs.enqueue_many([batch(ground.meeting, number) for number in range(3)])
    await ground.jobs.enqueue(batch(ground.meeting, 9), defer_by=timedelta(hours=1))
    await ground.jobs.enqueue(
        ChangeMeetingState(ground.meeting, MeetingState.RECORDING, 1), defer_until=datetime(2000, 1, 1, tzinfo=UTC)
    )
    paused = {f"queue:{QUEUE}": "a test", "function:ingest_segments": "another"}
    await ground.redis.hset("arq:paused", mapping=paused)  # type: ignore[misc]  # sync and async in one
    await ground.look()

    assert ground.value("queue_jobs", queue=QUEUE, state="due") == 4
    assert ground.value("queue_jobs", queue=QUEUE, state="deferred") == 1
    assert ground.value("queue_jobs", queue=QUEUE, state="running") == 0
    assert (ground.value("queue_oldest_due_age_seconds", queue=QUEUE) or 0) > 0
    assert ground.value("queue_paused", queue=QUEUE) == 1
    assert ground.value("kind_paused", kind="ingest_segments") == 1
    assert ground.value("kind_paused", kind="change_meeting_state") is None
    assert ground.value("jobs_enqueued_total", kind="ingest_segments") == 4
    assert ground.value("jobs_enqueued_total", kind="change_meeting_state") == 1


async def test_what_waits_in_postgresql_is_told_too(ground: Ground, burst: Burst) -> None:
    await ground.jobs.enqueue(ChangeMeetingState(ground.meeting, MeetingState.COMPLETED, 9))
    await burst()
    async with await ground.unit() as uow:
        for number in range(2):
            await uow.jobs.enqueue(batch(ground.meeting, number))
        await uow.commit()
    await ground.look()
    assert ground.value("parked_jobs", queue=QUEUE) == 1
    assert ground.value("parked_behind_dead_letters") == 0
    assert ground.value("dead_letters", queue=QUEUE) == 0
    assert ground.value("outbox_rows", state="waiting") == 2

    await dispatch_due(ground.engine, Dispatcher(ground.redis))
    await ground.look()
    assert ground.value("outbox_rows", state="waiting") == 0
    assert ground.value("outbox_rows", state="dispatched") == 2
    assert ground.value("jobs_enqueued_total", kind="ingest_segments") == 2


async def test_what_is_not_known_now_is_left_out(ground: Ground) -> None:
    await ground.jobs.enqueue(batch(ground.meeting, 1))
    nowhere = create_engine("postgresql://noteflow@127.0.0.1:1/noteflow", connect_timeout_s=0.2)
    ground.metrics.fleet.state = await read_fleet_state(Sources(ground.redis, nowhere, QUEUE))
    await nowhere.dispose()
    assert ground.value("queue_jobs", queue=QUEUE, state="due") == 1
    assert ground.value("parked_jobs", queue=QUEUE) is None
    assert ground.value("dead_letters", queue=QUEUE) is None
    assert ground.value("outbox_rows", state="waiting") is None

    ground.metrics.fleet.state = None
    assert ground.value("queue_jobs", queue=QUEUE, state="due") is None
    assert ground.value("worker_slots") == 20


async def test_a_look_costs_the_same_however_long_the_queue_is(ground: Ground) -> None:
    async def calls() -> Counter[str]:
        stats = await ground.redis.info("commandstats")
        return Counter({name.removeprefix("cmdstat_"): stat["calls"] for name, stat in stats.items()})

    async def price() -> Counter[str]:
        before = await calls()
        await ground.look()
        return await calls() - before

    few = await price()
    await ground.redis.zadd(QUEUE, {f"job-{number}": number + 1 for number in range(20_000)})
    assert await price() == few
    assert ground.value("queue_jobs", queue=QUEUE, state="due") == 20_000
    assert not {"keys", "scan", "zscan"} & set(few)  # of a hash one page is read, so that none is too long


async def test_a_hostile_probe_key_makes_no_worker_unready(ground: Ground) -> None:
    probes = Probes(ground.redis, ground.engine, QUEUE, Reachable())
    try:
        for _, put in VALUES.values():
            await ground.redis.delete("arq:probe")
            await put(ground.redis, "arq:probe")
            assert await probes.doubts() == []
    finally:
        await probes.close()


@pytest.mark.parametrize("key", KINDS)
async def test_a_hostile_value_costs_only_its_own_number(ground: Ground, key: str) -> None:
    """And the page is still one that a scraper can read."""
    redis: Any = ground.redis  # whose types are those of two clients at once
    await ground.redis.zadd("arq:good", {"job": 1})
    await ground.redis.zadd("arq:workers", {"bad": time.time() * 1000})
    await ground.redis.zadd("arq:dead:letters", {"bad": 1_000})
    for _, put in VALUES.values():
        await ground.redis.delete(key)
        await put(ground.redis, key)
        if key != "arq:paused":
            await redis.hset("arq:paused", "queue:arq:good", "kept")
        await ground.look()
        families = text_string_to_metric_families(generate_latest(ground.metrics.registry).decode())
        assert "noteflow_queue_jobs" in {family.name for family in families}
        assert ground.value("outbox_rows", state="waiting") == 0
        if key != "arq:paused":
            assert ground.value("queue_jobs", queue="arq:good", state="due") == 1
