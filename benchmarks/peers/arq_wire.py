"""Arq's wire, for stock Arq and for our engine alike: both are fed by Arq's own producer."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any
from uuid import uuid4

from arq.connections import ArqRedis
from arq.constants import default_queue_name, job_key_prefix
from arq.jobs import serialize_job

from benchmarks.peers.protocol import Arguments

_EXPIRES_MS = 86_400_000
_AT_ONCE = 20


class ArqProducer:
    """Arq's producer as its documentation uses it."""

    def __init__(self, redis: ArqRedis, serializer: Callable[[dict[str, Any]], bytes] | None) -> None:
        self._redis = redis
        self._serializer = serializer

    async def one(self, function: str, arguments: Arguments) -> None:
        """Enqueue one job: three round trips."""
        await self._redis.enqueue_job(function, **arguments)

    async def many(self, function: str, jobs: Sequence[Arguments]) -> None:
        """Enqueue jobs side by side, since Arq knows no bulk."""
        places = asyncio.Semaphore(_AT_ONCE)

        async def enqueue(arguments: Arguments) -> None:
            async with places:
                await self._redis.enqueue_job(function, **arguments)

        await asyncio.gather(*map(enqueue, jobs))

    async def fill(self, function: str, jobs: Sequence[Arguments]) -> None:
        """Write what `enqueue_job` would have written, in pipelines."""
        now_ms = time.time_ns() // 1_000_000
        for start in range(0, len(jobs), 1000):
            pipeline = self._redis.pipeline(transaction=False)
            for place, arguments in enumerate(jobs[start : start + 1000], start):
                body = serialize_job(function, (), arguments, None, now_ms, serializer=self._serializer)
                job_id = uuid4().hex
                pipeline.psetex(job_key_prefix + job_id, _EXPIRES_MS, body)
                pipeline.zadd(default_queue_name, {job_id: now_ms - len(jobs) + place})
            await pipeline.execute()


def arq_function(name: str, job: Callable[..., Awaitable[None]]) -> Any:
    """`job` under `name`, as Arq calls it."""

    async def function(_ctx: dict[str, Any], **arguments: Any) -> None:
        await job(**arguments)

    function.__qualname__ = name
    return function
