"""The relay: one in every worker, several at once without harm.

It is woken by the commit that asks for a job, looks by itself now and then, and looks again after rows it has
dispatched until their jobs' effects are committed, which ends them.
"""

from __future__ import annotations

import asyncio
import math
import random
import time
from collections.abc import Awaitable, Callable

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import FilteringBoundLogger

from noteflow.domain.errors import ConcurrencyConflict, StorageUnavailable, Unavailable
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.queue.dispatch import Dispatcher
from worker.outbox.dispatching import Dispatched, dispatch_due
from worker.outbox.epoch import lost_lately, notice_loss
from worker.outbox.giving_up import give_up_parked
from worker.outbox.listening import Calls, listening
from worker.outbox.set_back import notice_set_back
from worker.outbox.waking import follow_wake_ups

LONGEST_PAUSE_S = 2.0

_ANOTHER = "it is another Redis than before, or was emptied"


class Relay:
    """Runs until it is cancelled. While PostgreSQL or Redis is away it logs that once, and tries again.

    Uncalled it looks after `rest_s` seconds at most. `on_unavailable` is told when PostgreSQL cannot serve it: so an
    idle worker knows it too. It begins, and begins again, when `answered` returns: while nothing is claimed, nothing is
    listened to, and no parked job is given up whose wait others may just not be able to end.
    """

    def __init__(
        self,
        engine: AsyncEngine,
        redis: Redis,
        log: FilteringBoundLogger,
        *,
        rest_s: float = 2.0,
        on_unavailable: Callable[[Exception], None] = lambda _: None,
        answered: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._engine = engine
        self._redis = redis
        self._dispatcher = Dispatcher(redis)
        self._log = log
        self._rest_s = rest_s
        self._on_unavailable = on_unavailable
        self._answered = answered
        self._look_again_at = math.inf
        self._noticed_at = -math.inf
        self._compared_at = -math.inf

    async def run(self) -> None:
        """Carry rows, for ever."""
        failures = 0
        while True:
            try:
                if self._answered is not None:
                    await self._answered()
                async with listening(self._engine) as calls:
                    self._compared_at = -math.inf  # the connection before was lost: it may be another server
                    while True:
                        calls.forget()  # a call that comes while we work costs no rest
                        with translated():
                            await self._once()
                        if failures:
                            self._log.info("outbox.resumed")
                        failures = 0
                        await self._rest(calls)
            except (Unavailable, ConcurrencyConflict) as error:
                failures += 1
                self._tell(error, failures)
                ceiling = min(LONGEST_PAUSE_S, 0.1 * 2 ** min(failures, 8))
                await asyncio.sleep(random.uniform(ceiling / 2, ceiling))  # noqa: S311  # not a secret

    def _tell(self, error: Exception, failures: int) -> None:
        if isinstance(error, StorageUnavailable):
            self._on_unavailable(error)
        if failures == 1:
            self._log.warning("outbox.interrupted", reason=str(error))

    async def _tell_restored(self, done: Dispatched) -> None:
        if done.lost or await lost_lately(self._redis):
            self._log.warning("outbox.restored", jobs=done.restored, why="Redis had lost them")
        else:
            self._log.info("outbox.restored", jobs=done.restored, why="a claim of them was just ending")

    async def _rest(self, calls: Calls) -> None:
        rest_s = random.uniform(self._rest_s / 2, self._rest_s)  # noqa: S311  # not a secret
        await calls.wait(min(rest_s, max(0.0, self._look_again_at - time.monotonic())))

    async def _compare(self) -> None:
        """Notice that PostgreSQL lost commits, at most every half rest and after each new connection."""
        if time.monotonic() - self._compared_at < self._rest_s / 2:
            return
        if lost := await notice_set_back(self._engine, self._redis):
            since = lost.since.isoformat(timespec="milliseconds")
            self._log.error("outbox.postgresql_set_back", since=since, results=lost.results, jobs=lost.jobs)
        self._compared_at = time.monotonic()

    async def _once(self) -> None:
        await self._compare()
        if time.monotonic() - self._noticed_at >= self._rest_s / 2:
            if loss := await notice_loss(self._engine, self._redis, was_marked=math.isfinite(self._noticed_at)):
                if loss.jobs or math.isfinite(self._noticed_at):
                    self._log.warning("outbox.redis_lost", jobs=loss.jobs, why=_ANOTHER)
                if loss.pauses:
                    paused, resumed = loss.pauses.paused, loss.pauses.resumed
                    self._log.warning("pauses.restored", paused=paused, resumed=resumed, why=_ANOTHER)
            self._noticed_at = time.monotonic()
        if time.monotonic() >= self._look_again_at:
            self._look_again_at = math.inf
        more = True
        while more:
            done = await dispatch_due(self._engine, self._dispatcher)
            followed = await follow_wake_ups(self._engine)
            more = done.more or followed.more or followed.woken > 0
            for look_again_s in (done.look_again_s, followed.look_again_s):
                if look_again_s is not None:
                    self._look_again_at = min(self._look_again_at, time.monotonic() + look_again_s)
            if done.restored:
                await self._tell_restored(done)
        for job_id, reason in await give_up_parked(self._engine):
            self._log.error("job.dead", job=job_id, outcome="dead", reason=reason)
