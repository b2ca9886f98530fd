"""A worker process tells whether it lives, whether it is ready and what it did, whatever becomes of the servers."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from noteflow.domain.commands import IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.fleet import OURS
from tests.acceptance.judge import Judge
from tests.acceptance.pages import Page, Pages, free_port
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import StartWorkers
    from tests.conftest import OwnPostgres, OwnRedis

RECOVERED_WITHIN_S = 4.0
"""Two seconds are promised; the tests' machine is seldom free."""


@pytest.fixture
def port() -> int:
    """One that is free now."""
    return free_port()


@contextmanager
def hanging(pid: int) -> Iterator[None]:
    """A process that is there and does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_health_through_outages_and_metrics_of_real_jobs(
    own_postgres: OwnPostgres, own_redis: OwnRedis, start_workers: StartWorkers, port: int
) -> None:
    postgres, valkey = own_postgres(), own_redis(append_only=True)
    judge = Judge(postgres.url("noteflow"))
    (worker,) = await start_workers(judge.database_url, valkey.url(), command=(*OURS, "--http", f"127.0.0.1:{port}"))
    pages = Pages(port)
    await eventually(pages.is_ready)
    assert await pages.read("/livez") == Page(200, "alive\n")
    assert await pages.read("/readyz") == Page(200, "ready\n")
    assert (await pages.read("/nowhere")).status == 404

    meeting = MeetingId(await judge.new_meeting())
    async with JobClient.from_url(valkey.url()) as jobs:
        batches = [IngestSegments(meeting, (Segment(meeting, n, f"word {n}", 0.0, 1.0),)) for n in range(50)]
        await jobs.enqueue_many(batches)
    await eventually(partial(pages.shows, "jobs_finished_total", 50, kind="ingest_segments", outcome="applied"))
    assert await judge.count() == 50
    assert await pages.value("jobs_started_total", kind="ingest_segments") == 50
    assert await pages.value("freshness_lag_seconds_count", kind="ingest_segments") == 50
    # What is counted in Redis is looked at every few seconds, not with each page.
    await eventually(partial(pages.shows, "queue_jobs", 0, queue="arq:queue", state="due"))
    assert await pages.value("jobs_enqueued_total", kind="ingest_segments") == 50
    assert await pages.value("redis_up") == await pages.value("database_up") == 1

    for name, gauge, server in (("redis", "redis_up", valkey), ("postgresql", "database_up", postgres)):
        server.stop()
        await eventually(pages.is_unready)
        refused = await pages.read("/readyz")
        assert name in refused.text
        assert (await pages.read("/livez")).status == 200
        await eventually(partial(pages.shows, gauge, 0))
        server.start()
        answered_at = time.monotonic()
        await eventually(pages.is_ready, within_s=RECOVERED_WITHIN_S, every_s=0.05)
        print(f"{name}: ready {time.monotonic() - answered_at:.2f} s after it answered")
    assert worker.process.poll() is None
    assert await asyncio.to_thread(worker.stop) == 0


async def test_servers_that_hang_hang_no_page(
    own_postgres: OwnPostgres, own_redis: OwnRedis, start_workers: StartWorkers, port: int
) -> None:
    judge, valkey = Judge(own_postgres().url("noteflow")), own_redis()
    await start_workers(judge.database_url, valkey.url(), settings={"HTTP_LISTEN": f"127.0.0.1:{port}"})
    pages = Pages(port)
    await eventually(pages.is_ready)
    with hanging(valkey.pid):
        await eventually(pages.is_unready)
        assert "redis" in (await pages.read("/readyz")).text
        assert (await pages.read("/livez")).status == 200
        metrics = await pages.read("/metrics")
        assert "noteflow_redis_up 0" in metrics.text
        assert "noteflow_queue_jobs{" not in metrics.text
    await eventually(pages.is_ready)


async def test_a_port_that_is_taken_costs_the_worker_nothing_and_is_taken_over_when_it_is_free(
    database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port: int = taken.getsockname()[1]
        (worker,) = await start_workers(database_url, redis_url, settings={"HTTP_LISTEN": f"127.0.0.1:{port}"})
        (line,) = await eventually(lambda: worker.lines("http.unavailable"))
        assert (line["level"], line["port"]) == ("warning", port)
        judge = Judge(database_url)
        meeting = MeetingId(await judge.new_meeting())
        async with Redis.from_url(redis_url) as redis, JobClient(redis) as jobs:
            await jobs.enqueue(IngestSegments(meeting, (Segment(meeting, 1, "hello", 0.0, 1.0),)))
            await eventually(judge.count)
    await eventually(lambda: worker.lines("http.listening"))
    assert await eventually(Pages(port).is_ready)
