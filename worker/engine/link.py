"""Hold the worker's one conversation with Redis: endings go out in groups, claims come back in batches.

Everything that ended while the last call was under way travels with the next one, so a busy worker makes one round
trip for many jobs. Endings are kept until Redis has answered: they are fenced and may be sent twice. A claim is asked
for anew instead, and what an unanswered claim took is handed back (`recover.lua`).
"""

from __future__ import annotations

import asyncio
import logging
from itertools import count
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from worker.engine import wire
from worker.engine.backlog import Backlog
from worker.engine.claims import Batch, Settlement, Status
from worker.engine.connections import call_scripts
from worker.engine.outage import UNREACHABLE, Backoff, Outage, leads_elsewhere
from worker.engine.scripts import script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.engine.options import Options
    from worker.engine.wire import Request

logger = logging.getLogger("worker.engine")


class Link:
    """Carry settlements and claims; one call at a time is under way, and nobody waits for a timer.

    `pool` returns the client in use, `evicted` is told which dead letters had to make room.
    """

    def __init__(
        self,
        pool: Callable[[], Any],
        queues: Sequence[str],
        worker_id: str,
        options: Options,
        outage: Outage,
    ) -> None:
        self._pool = pool
        self._queues = tuple(queues)
        self._worker_id = worker_id
        self._options = options
        self._outage = outage
        self._waiting = Backlog()
        self._request: tuple[Request, asyncio.Future[Batch]] | None = None
        self._pump: asyncio.Task[None] | None = None
        self._tokens = count(1)
        self._unanswered: list[str] = []
        self._offset_ms: float | None = None
        self._closed = False
        self._turns = 0

    @property
    def turns(self) -> int:
        """Count the beginnings and ends of our calls: odd while one is under way."""
        return self._turns

    @property
    def backlog(self) -> int:
        """Return how many endings wait to be recorded."""
        return len(self._waiting)

    def settle(self, settlement: Settlement) -> None:
        """Send an ending with the next call; `settlement.wait()` answers when it is recorded."""
        if self._closed:
            settlement.settle(Status.UNSENT)
            return
        self._waiting.append(settlement)
        self._start()

    async def claim(self, limit: int, reserves: Sequence[int], *, aborts: bool, ids: Sequence[bytes] = ()) -> Batch:
        """Claim up to `limit` due jobs (or `ids`, if due); raise what the connection raises."""
        self._closed = False
        for token in self._unanswered[:]:
            await self._recover(token)
        token = f"{self._worker_id}:{next(self._tokens)}"
        request = wire.Request(token, limit, tuple(reserves), aborts, tuple(ids))
        answer: asyncio.Future[Batch] = asyncio.get_running_loop().create_future()
        while self._request is not None:
            await asyncio.wait([self._request[1]])
        self._request = (request, answer)
        self._start()
        return await answer

    async def flush(self, within_s: float) -> None:
        """Wait until every ending is recorded, at most `within_s`; then give up on the rest, whose leases will end."""
        self._start()
        if self._pump is not None:
            await asyncio.wait([self._pump], timeout=within_s)
        if self._waiting:
            logger.error("%d endings could not be recorded; the jobs will run again", len(self._waiting))
        self._closed = True
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.wait([self._pump])
            self._pump = None
        self._waiting.give_up()

    async def drop_idle_connections(self) -> None:
        """Connect anew: what one connection met, idle ones would meet too, each after a time-out of its own."""
        await self._pool().connection_pool.disconnect(inuse_connections=False)

    def _start(self) -> None:
        if (self._pump is None or self._pump.done()) and (self._waiting or self._request) and not self._closed:
            self._pump = asyncio.get_running_loop().create_task(self._talk())

    async def _talk(self) -> None:
        backoff = Backoff()
        while self._waiting or self._request:
            group = self._waiting.next_group()
            request, self._request = self._request, None
            try:
                await self._turn(group, request)
                backoff.reset()
            except UNREACHABLE as error:
                self._outage.failed(error)
                self._waiting.put_back(group)
                if leads_elsewhere(error):
                    await self.drop_idle_connections()
                if self._waiting:
                    await asyncio.sleep(backoff.next_s())
            except Exception:
                logger.exception("a group of endings could not be sent, trying them one by one")
                await self._isolate(group)
            except BaseException:
                self._waiting.put_back(group)
                raise

    async def _isolate(self, group: list[Settlement]) -> None:
        """Record what can be recorded; one ending that cannot be written must not hold up the others."""
        for settlement in group:
            try:
                await self._turn([settlement], None)
            except UNREACHABLE:
                self._waiting.put_back([settlement])
            except Exception:
                logger.exception("the ending of %s cannot be sent; it will run again", settlement.claim.job_id)
                settlement.settle(Status.UNSENT)

    async def _turn(self, group: list[Settlement], request: tuple[Request, asyncio.Future[Batch]] | None) -> None:
        calls = wire.settlement_calls(group, self._queues, self._worker_id, self._options)
        if request is not None:
            calls.append(self._claim_call(request[0]))
        self._turns += 1
        try:
            answers = await self._send([call.command for call in calls])
        except BaseException as error:
            if request is not None:
                self._refuse(request, error)
            raise
        finally:
            self._turns += 1
        failure: BaseException | None = None
        for call, answer in zip(calls, answers, strict=True):
            if isinstance(answer, BaseException):
                failure = failure or answer
                if request is not None and not call.settlements:
                    self._refuse(request, answer)
            elif call.settlements:
                self._report(wire.apply(call, answer))
            elif request is not None:
                self._accept(request, answer)
        if failure is not None:
            raise failure
        self._outage.answered()

    async def _send(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        async with asyncio.timeout(self._options.command_timeout_s):
            return await call_scripts(self._pool(), commands, wire.SCRIPTS)

    def _claim_call(self, request: Request) -> wire.Call:
        # A server that hung may come to this call after we gave up on it: it must take nothing then.
        not_after = 0 if self._offset_ms is None else wire.now_ms() + self._offset_ms + self._patience_ms
        return wire.claim_call(request, self._queues, self._options, int(not_after))

    @property
    def _patience_ms(self) -> float:
        return self._options.command_timeout_s * 1000

    def _accept(self, request: tuple[Request, asyncio.Future[Batch]], answer: Any) -> None:
        batch = wire.read_batch(answer, request[0].token)
        self._offset_ms = batch.now_ms - wire.now_ms()
        if not request[1].done():
            request[1].set_result(batch)
        else:
            self._unanswered.append(request[0].token)

    def _refuse(self, request: tuple[Request, asyncio.Future[Batch]], error: BaseException) -> None:
        if not isinstance(error, ResponseError):
            self._unanswered.append(request[0].token)
        if not request[1].done():
            request[1].set_exception(error if isinstance(error, Exception) else ConnectionError("stopped"))

    async def _recover(self, token: str) -> None:
        command = script("recover").call(self._queues, (token, int(self._options.lease_s * 1000)))
        answers = await self._send([command])
        if isinstance(answers[0], BaseException):
            raise answers[0]
        self._unanswered.remove(token)
        if answers[0]:
            logger.warning("handed back %d jobs whose claim was cut off", answers[0])

    def _report(self, evicted: list[str]) -> None:
        for job_id in evicted:
            logger.error("dead letter %r gave way to newer ones: max_dead_letters is reached", job_id)
