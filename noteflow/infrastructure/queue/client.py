"""Enqueue commands: one or a thousand in one round trip, each once however often it is said.

A producer without an event loop keeps one in its pocket::

    with asyncio.Runner() as runner:
        jobs = JobClient.from_url(url)
        answer = runner.run(jobs.enqueue(command))
        runner.run(jobs.aclose())
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from redis.asyncio import BlockingConnectionPool, Redis

from noteflow.domain.checks import check_integer
from noteflow.domain.commands import Command
from noteflow.infrastructure.queue.answers import AlreadyQueued, Answer, Enqueued
from noteflow.infrastructure.queue.asking import (
    check_command,
    check_job_id,
    check_queue_name,
    check_timeout,
    checked_commands,
)
from noteflow.infrastructure.queue.closed_connections import closed_connections_told
from noteflow.infrastructure.queue.cutting import EncodedJob, jobs_of, round_trips
from noteflow.infrastructure.queue.keys import DEFAULT_QUEUE
from noteflow.infrastructure.queue.script import Script
from noteflow.infrastructure.queue.start import Start, start_at
from noteflow.infrastructure.queue.tracing import sending
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, address_of, not_enqueued, without_arguments
from noteflow.infrastructure.queue.urls import parse_redis_url


class JobClient:
    """Puts commands into one queue, and says of each whether it was there already.

    Made from a `redis.asyncio.Redis` it leaves that open; made by `from_url` it closes what it opened. The tasks of
    one event loop may share it. Each round trip is answered within `timeout_s`, connecting included, or
    QueueUnavailable is raised: then some, all or none of the commands are enqueued, and saying them again is safe.
    """

    def __init__(self, redis: Redis, *, queue_name: str = DEFAULT_QUEUE, timeout_s: float = 10.0) -> None:
        check_queue_name(queue_name)
        check_timeout("timeout_s", timeout_s)
        self._redis = redis
        self._owns_redis = False
        self._closed = False
        self._queue_name = queue_name
        self._timeout_s = timeout_s
        self._script = Script("enqueue")

    @classmethod
    def from_url(
        cls,
        url: str,
        *,
        queue_name: str = DEFAULT_QUEUE,
        timeout_s: float = 10.0,
        connect_timeout_s: float = 5.0,
        max_connections: int = 16,
    ) -> Self:
        """A client with connections of its own, opened when first needed.

        `url` is redis://, rediss:// or unix://, as `parse_redis_url` reads it; rediss:// checks the server's
        certificate and the name in it. Raises InvalidValue, which holds no password, for what is not understood.
        """
        check_timeout("timeout_s", timeout_s)
        check_timeout("connect_timeout_s", connect_timeout_s)
        check_integer("max_connections", max_connections, least=1)
        pool = BlockingConnectionPool(
            **parse_redis_url(url).connection_arguments(),
            max_connections=max_connections,
            timeout=timeout_s,  # type: ignore[arg-type]  # which may be a fraction
            socket_connect_timeout=connect_timeout_s,
            # Not worth the round trip that redis-py would spend, before the first command, on its own name.
            lib_name=None,
            lib_version=None,
        )
        client = cls(Redis.from_pool(pool), queue_name=queue_name, timeout_s=timeout_s)
        client._owns_redis = True
        return client

    async def enqueue(
        self,
        command: Command,
        *,
        job_id: str | None = None,
        defer_until: datetime | None = None,
        defer_by: timedelta | float | None = None,
    ) -> Answer:
        """Enqueue one command, now, at a moment with its time zone, or after a delay (a timedelta, or seconds).

        `job_id` replaces the id that is made of the content: whatever was enqueued under it before is this command.
        Raises InvalidValue, or QueueUnavailable.
        """
        check_command(command)
        check_job_id(job_id)
        start = start_at(defer_until, defer_by)
        return (await self._write([jobs_of(command, job_id)], start))[0]

    async def enqueue_many(self, commands: Iterable[Command]) -> list[Answer]:
        """Enqueue commands, and answer for each of them in their order.

        All are checked before the first is sent. A round trip carries up to 2,500 jobs of up to 16 MiB in all.
        Raises as `enqueue` does.
        """
        return await self._write([jobs_of(command) for command in checked_commands(commands)], Start())

    async def aclose(self) -> None:
        """Close the connections that `from_url` opened. What is enqueued afterwards is a RuntimeError."""
        self._closed = True
        if self._owns_redis:
            await self._redis.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"JobClient({address_of(self._redis)}, queue_name={self._queue_name!r})"

    async def _write(self, commands: Sequence[Sequence[EncodedJob]], start: Start) -> list[Answer]:
        if self._closed:
            raise RuntimeError("the job client is closed: keep one open for as long as there is something to enqueue")
        verdicts: list[int] = []
        every_job = [job for jobs in commands for job in jobs]
        with sending(self._queue_name, [job.job_id for job in every_job]) as context:
            for together in round_trips([job.within(context) for job in every_job] if context else every_job):
                argv: list[Any] = [start.due_ms, start.delay_ms]
                for job in together:
                    argv += (job.job_id, int(job.once), job.head)
                try:
                    async with asyncio.timeout(self._timeout_s):
                        with closed_connections_told():
                            verdicts += await self._script.call(self._redis, [self._queue_name], argv)
                except REDIS_FAILURES as error:
                    raise not_enqueued(error, self._redis) from without_arguments(error)
        new = iter(verdicts)
        return [_answer(jobs, [next(new) for _ in jobs]) for jobs in commands]


def _answer(jobs: Sequence[EncodedJob], new: Sequence[int]) -> Answer:
    job_ids = tuple(job.job_id for job in jobs)
    return Enqueued(job_ids[0], job_ids) if any(new) else AlreadyQueued(job_ids[0], job_ids)
