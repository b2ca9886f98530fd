"""Put jobs whose payloads are kept elsewhere into Redis: the outbox's way in, and the way back after a loss."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from noteflow.infrastructure.queue.closed_connections import closed_connections_told
from noteflow.infrastructure.queue.script import Script
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, unavailable, without_arguments


@dataclass(frozen=True, slots=True)
class KeptJob:
    """A job as it is kept: `body` is the whole payload, to the byte."""

    job_id: str
    queue: str
    body: bytes = field(repr=False)


class Dispatcher:
    """Writes kept jobs into the queues they belong to, in their order. Raises QueueUnavailable while Redis is away."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis
        self._dispatch = Script("dispatch")
        self._held = Script("held")

    async def dispatch(self, jobs: Sequence[KeptJob]) -> list[bool]:
        """For each job whether it was put in; False says that Redis had it, or has something else than its queue.

        One round trip. After QueueUnavailable some, all or none are put in, and dispatching them again is safe; it is
        raised as well where Redis has something else than the queue of every job.
        """
        answers = await self._call(self._dispatch, [part for job in jobs for part in (job.job_id, job.queue, job.body)])
        if answers and all(answer < 0 for answer in answers):
            raise unavailable(ResponseError("WRONGTYPE"), self._redis)
        return [answer == 1 for answer in answers]

    async def held(self, jobs: Sequence[tuple[str, str]]) -> list[bool]:
        """For each job, an id and its queue, whether Redis has it: waiting, running or dead. One round trip."""
        return [answer == 1 for answer in await self._call(self._held, [part for job in jobs for part in job])]

    async def _call(self, script: Script, arguments: list[str | bytes]) -> list[int]:
        if not arguments:
            return []
        try:
            with closed_connections_told():
                answers: list[int] = await script.call(self._redis, [], arguments)
        except REDIS_FAILURES as error:
            raise unavailable(error, self._redis) from without_arguments(error)
        return answers
