"""What docs/producers.md shows is run as it stands."""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
from collections.abc import Awaitable
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from redis.asyncio import Redis

from noteflow.domain.commands import IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.errors import InvalidValue
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue import client
from noteflow.infrastructure.queue.answers import AlreadyQueued, Enqueued
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.codec import deserialize
from noteflow.infrastructure.queue.cutting import MOST_BYTES_PER_ROUND_TRIP, MOST_JOBS_PER_ROUND_TRIP
from noteflow.infrastructure.queue.wire import command_from

PAGE = (Path(__file__).parents[3] / "docs" / "producers.md").read_text()
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


async def run(example: str, redis_url: str, names: dict[str, Any]) -> dict[str, Any]:
    """Run an example as the REPL of asyncio would, in a thread of its own if it brings its own loop."""
    source = example.replace("redis://localhost:6379/0", redis_url)
    code = compile(source, "docs/producers.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if code.co_flags & inspect.CO_COROUTINE:
        running: Awaitable[None] = eval(code, names)
        await running
    else:
        await asyncio.to_thread(exec, code, names)
    return names


async def test_the_examples_run_in_their_order(redis_url: str, redis: Redis) -> None:
    one_or_many, without_a_loop, plain_arq, *in_tests = EXAMPLES

    names = await run(one_or_many, redis_url, {})
    names = await run(without_a_loop, redis_url, names)
    assert names["answer"] == AlreadyQueued(names["answers"][1].job_id, names["answers"][1].job_ids)

    await run(plain_arq, redis_url, names)
    assert await redis.zcard("arq:queue") == 4

    for example in in_tests:
        await run(example, redis_url, names)
    assert len(names["jobs"].commands) == 2
    assert await redis.zcard("arq:queue") == 4  # nothing left the process


def test_a_refusal_begins_with_the_field_as_the_page_says() -> None:
    meeting = MeetingId(UUID(int=1))
    segments = [Segment(meeting, number, "x", 1, 2) for number in (0, 1, 2, 0)]
    assert "`end_time: …` from a `Segment`, `segments[3].segment_id: …` from the command" in PAGE
    with pytest.raises(InvalidValue, match=r"^end_time: "):
        Segment(meeting, 0, "x", start_time=2, end_time=1)
    with pytest.raises(InvalidValue, match=r"^segments\[3\]\.segment_id: "):
        IngestSegments(meeting, tuple(segments))


async def test_what_the_page_lets_a_plain_producer_write_is_understood(redis_url: str) -> None:
    names: dict[str, Any] = {"meeting_id": UUID("0192f0c1-7d3a-7c11-9a44-3f6a5b1f0e01")}
    await run(EXAMPLES[2], redis_url, names)

    async with Redis.from_url(redis_url) as raw:
        messages = [deserialize(await raw.get(key), allow_pickle=True) for key in await raw.keys("arq:job:*")]

    commands = [command_from(message["f"], message["a"], message["k"]) for message in messages]
    assert {command.function for command in commands} == {"ingest_segments", "change_meeting_state"}


def test_the_page_and_the_client_show_the_same_recipe_without_an_event_loop() -> None:
    recipe = EXAMPLES[1].split("\n\n")[1].replace('"redis://localhost:6379/0"', "url").replace("segments", "command")

    assert recipe.strip() in inspect.cleandoc(client.__doc__ or "").replace("\n    ", "\n")


@pytest.mark.parametrize("number", [f"{MOST_JOBS_PER_ROUND_TRIP:,} jobs", f"{MOST_BYTES_PER_ROUND_TRIP >> 20} MiB"])
def test_the_page_and_the_client_name_the_limits_in_force(number: str) -> None:
    assert number in PAGE
    assert number in (JobClient.enqueue_many.__doc__ or "")


def test_the_page_tells_both_answers() -> None:
    assert all(f"`{answer.__name__}`" in PAGE for answer in (Enqueued, AlreadyQueued))
