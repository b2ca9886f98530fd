"""The mover: one in every worker, several at once without harm.

A letter is in PostgreSQL before it leaves Redis. A crash in between moves it again, which changes nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterable, Sequence
from contextlib import suppress

from redis.asyncio import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import FilteringBoundLogger

from noteflow.domain.errors import ConcurrencyConflict, RejectedByStorage, Unavailable
from noteflow.infrastructure.persistence.dead_letters import keep_letters
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.persistence.finished import Asked, close_finished, wanted_of
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.script import Script
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, unavailable, without_arguments
from worker.dead_letters.reading import Found, oldest_letters

LONGEST_PAUSE_S = 5.0
CLOSE_EVERY_S = 10.0
"""How often dead letters are looked for that the ledger knows by now."""


class LetterMover:
    """Runs until it is cancelled, looking every `rest_s` seconds at most. While a server is away it tries again."""

    def __init__(self, engine: AsyncEngine, redis: Redis, log: FilteringBoundLogger, *, rest_s: float = 1.0) -> None:
        self._engine = engine
        self._redis = redis
        self._log = log
        self._rest_s = rest_s
        self._forget = Script("forget_letters")
        self._immovable: set[bytes] = set()
        self._other_content: set[int] = set()
        self._close_at = 0.0

    async def run(self) -> None:
        """Move letters, for ever."""
        failures = 0
        while True:
            pause_s = self._rest_s
            try:
                if await self.move_some():
                    continue
                if time.monotonic() >= self._close_at:
                    await self.close_finished()
                    self._close_at = time.monotonic() + CLOSE_EVERY_S
                failures = 0
            except (Unavailable, ConcurrencyConflict) as error:
                failures += 1
                self._tell(error, failures)
                pause_s = min(LONGEST_PAUSE_S, 0.1 * 2**failures)
            await asyncio.sleep(random.uniform(pause_s / 2, pause_s))  # noqa: S311  # not a secret

    async def move_some(self) -> int:
        """Move the oldest letters, as many as are well moved together, and say how many were found."""
        try:
            found = await self._oldest()
            kept = await self._kept(found)
            if kept:
                argv = [part for each in kept for part in (each.key, each.died_ms)]
                await self._forget.call(self._redis, [], argv)
        except REDIS_FAILURES as error:
            raise unavailable(error, self._redis) from without_arguments(error)
        return len(found)

    async def _oldest(self) -> list[Found]:
        """The oldest letters. Where they do not come in time the oldest alone, and without it if it does not either."""
        with suppress(TimeoutError, RedisTimeoutError):
            return await oldest_letters(self._redis, self._immovable)
        await self._redis.ping()  # or Redis is away, and no letter is at fault
        with suppress(TimeoutError, RedisTimeoutError):
            return await oldest_letters(self._redis, self._immovable, most=1)
        await self._redis.ping()
        for key in await self._redis.zrange(keys.DEAD_LETTERS, 0, len(self._immovable)):
            if key not in self._immovable:
                self._pass_over(key, "Redis does not give it out in time")
                break
        return []

    def _pass_over(self, key: bytes, error: str) -> None:
        """Leave a letter in Redis: the others must not wait behind it."""
        self._immovable.add(key)
        self._log.error("dead_letter.immovable", job=key.decode("utf-8", "replace"), error=error)

    async def _kept(self, found: Sequence[Found]) -> list[Found]:
        """Those that are in PostgreSQL now, and those of which there is nothing to keep."""
        if not found:
            return []
        try:
            await self._keep(found)
        except (RejectedByStorage, SQLAlchemyError):
            return [each for each in found if await self._can_be_kept(each)]
        return list(found)

    async def _can_be_kept(self, found: Found) -> bool:
        try:
            await self._keep([found])
        except (RejectedByStorage, SQLAlchemyError) as error:
            self._pass_over(found.key, str(error))
            return False
        return True

    async def _keep(self, found: Sequence[Found]) -> None:
        letters = [each.letter for each in found if each.letter is not None]
        if not letters:
            return
        wanted = await wanted_of([Asked(each.job_id, each.body, each.not_kept) for each in letters])
        with translated():
            async with self._engine.begin() as connection:
                archived = await keep_letters(connection, letters, wanted)
        if archived.new:
            self._log.info("dead_letters.kept", letters=archived.new)
        self._tell_finished(archived.finished)

    async def close_finished(self) -> None:
        """Close dead letters whose jobs were applied after all."""
        with translated():
            closed, other = await close_finished(self._engine, self._other_content)
        self._other_content |= other
        self._tell_finished(closed)

    def _tell_finished(self, job_ids: Iterable[str]) -> None:
        for job_id in job_ids:
            self._log.warning("dead_letter.closed", job=job_id, why="the ledger knows the job: it is applied")

    def _tell(self, error: Exception, failures: int) -> None:
        if failures == 1:
            self._log.warning("dead_letters.interrupted", reason=str(error))
