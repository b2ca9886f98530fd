"""Hold the worker's one conversation with Redis: endings go out in groups, claims come back in batches.

Everything that ended while the last call was under way travels with the next one, so a busy worker makes one round
trip for many jobs. Endings are kept until Redis has answered: they are fenced and may be sent twice. Claims are not
(`asking.py`).
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

from worker.engine import wire
from worker.engine.asking import Asked, Asking
from worker.engine.backlog import Backlog
from worker.engine.claims import Settlement, Status
from worker.engine.connections import call_scripts
from worker.engine.outage import UNREACHABLE, Backoff, Outage, leads_elsewhere

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context

    from worker.engine.claims import Batch
    from worker.engine.options import Options

logger = logging.getLogger("worker.engine")


class Link:
    """Carry settlements and claims; one call at a time is under way, and nobody waits for a timer.

    `pool` returns the client in use, `context` the one to work in.
    """

    def __init__(
        self,
        pool: Callable[[], Any],
        queues: Sequence[str],
        worker_id: str,
        options: Options,
        outage: Outage,
        context: Callable[[], Context],
    ) -> None:
        self._pool = pool
        self._context = context
        self._queues = tuple(queues)
        self._worker_id = worker_id
        self._options = options
        self._outage = outage
        self._waiting = Backlog()
        self._asking = Asking(queues, worker_id, options)
        self._asked: Asked | None = None
        self._pump: asyncio.Task[None] | None = None
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

    async def claim(
        self, limit: int, reserves: Sequence[int], *, aborts: bool, has_suspect: bool = False, ids: Sequence[bytes] = ()
    ) -> Batch:
        """Claim up to `limit` due jobs (or `ids`, if due); raise what the connection raises."""
        self._closed = False
        await self._recover_all()
        asked = self._asking.ask(limit, reserves, aborts=aborts, has_suspect=has_suspect, ids=ids)
        while self._asked is not None:
            await asyncio.wait([self._asked.batch])
        self._asked = asked
        self._start()
        return await asked.batch

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
        try:
            await self._recover_all()  # whoever asked was stopped before the answer came
        except UNREACHABLE as error:
            logger.warning("a claim was cut off; what it took runs when its lease ends: %s", error)

    async def drop_idle_connections(self) -> None:
        """Connect anew: what one connection met, idle ones would meet too, each after a time-out of its own."""
        await self._pool().connection_pool.disconnect(inuse_connections=False)

    def _start(self) -> None:
        if (self._pump is None or self._pump.done()) and (self._waiting or self._asked) and not self._closed:
            # What it logs is not about the job whose ending comes first.
            self._pump = asyncio.get_running_loop().create_task(self._talk(), context=self._context().copy())

    async def _talk(self) -> None:
        backoff = Backoff()
        while self._waiting or self._asked:
            group = self._waiting.next_group()
            asked, self._asked = self._asked, None
            call = self._outage.begin()
            try:
                await self._turn(group, asked, call)
                backoff.reset()
            except UNREACHABLE as error:
                self._outage.failed(error, call)
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
                await self._turn([settlement], None, self._outage.begin())
            except UNREACHABLE:
                self._waiting.put_back([settlement])
            except Exception:
                logger.exception("the ending of %s cannot be sent; it will run again", settlement.claim.job_id)
                settlement.settle(Status.UNSENT)

    async def _turn(self, group: list[Settlement], asked: Asked | None, number: int) -> None:
        calls = wire.settlement_calls(group, self._queues, self._worker_id, self._options)
        if asked is not None:
            calls.append(self._asking.call(asked))
        self._turns += 1
        try:
            answers = await self._send([call.command for call in calls])
        except BaseException as error:
            if asked is not None:
                self._asking.refuse(asked, error)
            raise
        finally:
            self._turns += 1
        failure: BaseException | None = None
        for call, answer in zip(calls, answers, strict=True):
            if isinstance(answer, BaseException):
                failure = failure or answer
                if asked is not None and not call.settlements:
                    self._asking.refuse(asked, answer)
            elif call.settlements:
                self._report(wire.apply(call, answer))
            elif asked is not None:
                self._asking.accept(asked, answer)
        if failure is not None:
            raise failure
        self._outage.answered(number)

    async def _send(self, commands: list[tuple[Any, ...]]) -> list[Any]:
        async with asyncio.timeout(self._options.command_timeout_s):
            return await call_scripts(self._pool(), commands, wire.SCRIPTS)

    async def _recover_all(self) -> None:
        for token in self._asking.unanswered[:]:
            answers = await self._send([self._asking.recovery(token)])
            if isinstance(answers[0], BaseException):
                raise answers[0]
            self._asking.unanswered.remove(token)
            if answers[0]:
                logger.warning("handed back %d jobs whose claim was cut off", answers[0])

    def _report(self, evicted: list[str]) -> None:
        for job_id in evicted:
            logger.error("dead letter %r gave way to newer ones: max_dead_letters is reached", job_id)
