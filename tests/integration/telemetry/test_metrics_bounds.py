"""A writer of Redis can neither make the page large nor take from it what is sound."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from prometheus_client import generate_latest
from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from jobs import handlers
from noteflow.infrastructure.persistence.engine import create_engine
from tests.unit.telemetry.registry import Everything, everything
from worker.inspection.sources import Sources
from worker.telemetry.bounds import EVENTS, MOST_QUEUES
from worker.telemetry.fleet import read_fleet_state

QUEUE, KIND = "arq:queue", "ingest_segments"


@dataclass
class Scraped:
    """Both servers, and the page of a worker."""

    redis: Any
    engine: AsyncEngine
    metrics: Everything

    async def scrape(self) -> None:
        self.metrics.fleet.state = await read_fleet_state(Sources(self.redis, self.engine, QUEUE))

    def value(self, name: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(f"noteflow_{name}", labels)

    def labels(self, name: str, label: str) -> set[str]:
        families = {family.name: family for family in self.metrics.registry.collect()}
        return {sample.labels[label] for sample in families[f"noteflow_{name}"].samples}

    @property
    def size(self) -> int:
        return len(generate_latest(self.metrics.registry))


@pytest.fixture
async def scraped(database_url: str, redis_url: str) -> AsyncIterator[Scraped]:
    engine = create_engine(database_url)
    async with Redis.from_url(redis_url) as redis:
        yield Scraped(redis, engine, everything())
    await engine.dispose()


async def beats(redis: Any, worker: str, **changed: Any) -> None:
    """Write the record of a worker that is at work."""
    record = {
        "id": worker, "host": "h", "pid": 1, "version": "1", "started": 0.0, "queues": [QUEUE], "functions": [KIND],
        "max_jobs": 1, "running_count": 0, "running": [], "complete": 0, "failed": 0, "retried": 0,
        "last_progress": None, "last_error": None, "ready": True, "excuses": [], **changed,
    }  # fmt: skip
    await redis.set(f"arq:worker:{worker}", json.dumps(record))
    await redis.zadd("arq:workers", {worker: time.time() * 1000})


async def test_unknown_kinds_are_one_series_however_many_there_are(scraped: Scraped) -> None:
    await scraped.scrape()
    size = scraped.size
    for start in range(0, 200_000, 20_000):
        await scraped.redis.hset(
            "arq:enqueued", mapping={f"kind-{n}-{'x' * 40}": 2 for n in range(start, start + 20_000)}
        )
    await scraped.redis.hset("arq:enqueued", KIND, 7)
    await scraped.redis.hset("arq:paused", mapping={f"function:kind-{number}": "forged" for number in range(1_000)})
    await scraped.redis.hset("arq:dead:counts", mapping={f"event-{number}": 3 for number in range(1_000)})
    await scraped.scrape()

    assert scraped.value("jobs_enqueued_total", kind=KIND) == 7
    assert scraped.value("jobs_enqueued_total", kind="other") in (400_000, None)  # what takes too long is left out
    assert scraped.labels("jobs_enqueued", "kind") <= {*handlers(), "other"}
    assert scraped.labels("kind_paused", "kind") == {"other"}
    assert scraped.labels("dead_letter_events", "event") <= {*EVENTS, "other"}
    assert scraped.size < size + 2_000


async def test_queues_that_a_record_invents_are_bounded_and_ours_is_among_those_shown(scraped: Scraped) -> None:
    await beats(scraped.redis, "forged", queues=[f"a{number}" for number in range(5_000)] + ["b" * 100_000])
    for name in ("one", "other"):
        await beats(scraped.redis, name, queues=[QUEUE, "served"])
    await scraped.scrape()
    shown = scraped.labels("queue_jobs", "queue")
    assert {QUEUE, "served"} <= shown
    assert len(shown) == MOST_QUEUES
    assert max(map(len, shown)) < 200


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("arq:worker:forged", "no JSON"),
        ("arq:worker:forged", "{}"),
        ("arq:worker:forged", json.dumps({"id": 7, "queues": "many", "beat_s": "long"})),
        ("arq:dead:counts", "no hash"),
        ("arq:enqueued", {"forged": "abc", KIND: "5", "change_meeting_state": "-1"}),
        ("arq:enqueued", {"forged": "9" * 5_000, KIND: "5"}),
    ],
)
async def test_one_bad_record_costs_only_itself(key: str, value: Any, scraped: Scraped) -> None:
    await beats(scraped.redis, "sound")
    await scraped.redis.hset("arq:enqueued", KIND, 5)
    await scraped.redis.zadd("arq:workers", {"forged": time.time() * 1000})
    await scraped.redis.delete(key)
    await (scraped.redis.hset(key, mapping=value) if isinstance(value, dict) else scraped.redis.set(key, value))
    await scraped.redis.zadd(QUEUE, {"j": 1})
    await scraped.scrape()
    assert scraped.value("workers", state="ready") == 1
    assert scraped.value("jobs_enqueued_total", kind=KIND) == 5
    assert scraped.value("queue_jobs", queue=QUEUE, state="due") == 1
    assert scraped.value("outbox_rows", state="waiting") == 0


@pytest.mark.parametrize("key", ["arq:enqueued", "arq:paused", "arq:workers", "arq:dead:letters"])
async def test_a_key_of_another_type_costs_only_what_it_would_tell(key: str, scraped: Scraped) -> None:
    await scraped.redis.set(key, "neither hash nor set")
    await scraped.scrape()
    assert scraped.value("outbox_rows", state="waiting") == 0
    assert scraped.value("dead_letter_events_total", event="buried") == 0
