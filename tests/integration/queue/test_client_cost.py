"""What enqueuing costs, counted: round trips on the wire, modules in the producer's process."""

from __future__ import annotations

import subprocess
import sys

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue.answers import AlreadyQueued, Enqueued
from noteflow.infrastructure.queue.client import JobClient
from tests.proxy import Proxy
from tests.unit.queue.commands import MEETING, ingest, segment


async def test_one_command_costs_one_round_trip_the_first_time_and_every_time(redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, JobClient.from_url(proxy.url) as jobs:
        for number in range(1, 4):
            await jobs.enqueue(ChangeMeetingState(MEETING, MeetingState.RECORDING, number))
            assert proxy.round_trips == number
        assert [name for name in proxy.commands if name.startswith("EVAL")] == ["EVAL", "EVALSHA", "EVALSHA"]


async def test_a_thousand_commands_cost_one_round_trip(redis_url: str) -> None:
    commands = [IngestSegments(MEETING, (segment(number), segment(number + 1))) for number in range(1_000)]
    async with Proxy(redis_url) as proxy, JobClient.from_url(proxy.url) as jobs:
        answers = await jobs.enqueue_many(commands)
        assert proxy.round_trips == 1
        assert {type(answer) for answer in answers} == {Enqueued}

        answers = await jobs.enqueue_many(commands)
        assert proxy.round_trips == 2
        assert {type(answer) for answer in answers} == {AlreadyQueued}


async def test_a_thousand_jobs_of_fifty_segments_cost_one_round_trip(redis_url: str) -> None:
    text = "a sentence of about a hundred characters, as people say them in a meeting that goes on for long, no?"
    commands = [IngestSegments(MEETING, ingest(50, text=f"{text} {number}").segments) for number in range(1_000)]
    async with Proxy(redis_url) as proxy, JobClient.from_url(proxy.url) as jobs:
        answers = await jobs.enqueue_many(commands)
    assert proxy.round_trips == 1
    assert len({answer.job_id for answer in answers}) == 1_000


async def test_more_than_a_round_trip_may_carry_takes_another(redis_url: str) -> None:
    commands = [ChangeMeetingState(MEETING, MeetingState.RECORDING, number) for number in range(1, 2_502)]
    async with Proxy(redis_url) as proxy, JobClient.from_url(proxy.url) as jobs:
        answers = await jobs.enqueue_many(commands)
    assert proxy.round_trips == 2
    assert [answer.job_id.split(":")[2] for answer in answers] == [str(number) for number in range(1, 2_502)]


async def test_a_server_that_forgot_the_script_costs_one_more_round_trip(redis_url: str) -> None:
    async with Proxy(redis_url) as proxy, JobClient.from_url(proxy.url) as jobs:
        await jobs.enqueue(ingest(1))
        await jobs._redis.script_flush()
        proxy.forget()

        assert isinstance(await jobs.enqueue(ingest(2)), Enqueued)
        assert proxy.commands == ["EVALSHA", "EVAL"]


def test_a_producer_imports_neither_the_database_nor_the_worker() -> None:
    listing = subprocess.run(
        [sys.executable, "-c", "import noteflow.infrastructure.queue.client, sys; print(*sys.modules)"],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.split()

    assert "noteflow.infrastructure.queue.wire" in listing
    unwanted = {
        "sqlalchemy",
        "asyncpg",
        "arq",
        "tenacity",
        "pydantic",
        "structlog",
        "alembic",
        "typer",
        "jobs",
        "worker",
    }
    assert unwanted.isdisjoint(listing)
