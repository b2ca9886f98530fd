"""A wrong argument is refused by its name before anything is sent; no server is there to be asked."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.queue.client import JobClient
from tests.unit.queue.commands import ingest
from tests.unit.queue.wrong import WRONG

NOWHERE = "redis://localhost:1/0"


@pytest.mark.parametrize(("said", "enqueue"), WRONG)
async def test_what_is_no_command_is_refused(said: str, enqueue: Callable[[Any], Any]) -> None:
    async with JobClient.from_url(NOWHERE) as jobs:
        with pytest.raises(InvalidValue, match=said):
            await enqueue(jobs)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("queue_name", None),
        ("queue_name", ""),
        ("queue_name", b"arq:queue"),
        ("timeout_s", 0),
        ("timeout_s", -1),
        ("timeout_s", "x"),
        ("timeout_s", None),
        ("timeout_s", math.nan),
        ("timeout_s", math.inf),
        ("connect_timeout_s", 0),
        ("max_connections", 0),
        ("max_connections", "many"),
    ],
)
async def test_what_a_client_cannot_be_made_of_is_refused(argument: str, value: Any) -> None:
    wrong: dict[str, Any] = {argument: value}
    with pytest.raises(InvalidValue) as refusal:
        JobClient.from_url(NOWHERE, **wrong)
    assert refusal.value.field == argument
    if argument in ("queue_name", "timeout_s"):
        async with Redis.from_url(NOWHERE) as redis:
            with pytest.raises(InvalidValue):
                JobClient(redis, **wrong)


async def test_a_closed_client_connects_no_more(redis_url: str, redis: Redis) -> None:
    ours = JobClient.from_url(redis_url)
    for client in (ours, JobClient(redis)):
        await client.enqueue(ingest(1))
        await client.aclose()
        with pytest.raises(RuntimeError, match="the job client is closed"):
            await client.enqueue(ingest(2))
        with pytest.raises(RuntimeError, match="the job client is closed"):
            await client.enqueue_many([ingest(2)])
        await client.aclose()  # closing twice is closing once
    assert await redis.zcard("arq:queue") == 1
