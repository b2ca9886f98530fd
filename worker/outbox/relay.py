"""The relay: one in every worker, several at once without harm.

It is woken by the commit that asks for a job, looks by itself now and then, and looks again after rows it has
dispatched until their jobs' effects are committed, which ends them.
"""

from __future__ import annotations

import asyncio
import random

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import FilteringBoundLogger

from noteflow.domain.errors import Unavailable
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.queue.dispatch import Dispatcher
from worker.outbox.dispatching import BATCH, dispatch_due
from worker.outbox.epoch import notice_loss
from worker.outbox.giving_up import give_up_parked
from worker.outbox.listening import listening

LONGEST_PAUSE_S = 2.0


class Relay:
    """Runs until it is cancelled. While PostgreSQL or Redis is away it says so once, and tries again."""

    def __init__(self, engine: AsyncEngine, redis: Redis, log: FilteringBoundLogger, *, rest_s: float = 2.0) -> None:
        self._engine = engine
        self._redis = redis
        self._dispatcher = Dispatcher(redis)
        self._log = log
        self._rest_s = rest_s
        self._failures = 0

    async def run(self) -> None:
        """Carry rows, for ever."""
        while True:
            try:
                async with listening(self._engine) as called:
                    await self._serve(called)
            except Exception as error:  # a relay that gave up would leave jobs behind without a word
                self._failures += 1
                self._tell(error)
                ceiling = min(LONGEST_PAUSE_S, 0.1 * 2 ** min(self._failures, 8))
                await asyncio.sleep(random.uniform(ceiling / 2, ceiling))  # noqa: S311  # not a secret

    def _tell(self, error: Exception) -> None:
        if not isinstance(error, Unavailable):
            self._log.error("outbox.failed", error=type(error).__name__, exc_info=error)
        elif self._failures == 1:
            self._log.warning("outbox.interrupted", reason=str(error))

    async def _serve(self, called: asyncio.Event) -> None:
        while True:
            called.clear()
            with translated():
                await self._once()
            # Only now: to listen needs PostgreSQL alone, and Redis may still be away.
            if self._failures:
                self._log.info("outbox.resumed")
                self._failures = 0
            # A call that comes while we work leaves the event set, and costs no rest.
            try:
                async with asyncio.timeout(random.uniform(self._rest_s / 2, self._rest_s)):  # noqa: S311
                    await called.wait()
            except TimeoutError:
                continue

    async def _once(self) -> None:
        if await notice_loss(self._engine, self._redis):
            self._log.warning("outbox.redis_lost", why="the mark left in Redis is gone; every row is looked at")
        while True:
            done = await dispatch_due(self._engine, self._dispatcher)
            if done.restored:
                self._log.warning("outbox.restored", jobs=done.restored, why="Redis had lost them")
            if done.seen < BATCH:
                break
        for job_id, reason in await give_up_parked(self._engine):
            self._log.error("job.dead", job=job_id, outcome="dead", reason=reason)
