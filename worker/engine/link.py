"""Hold the worker's one conversation with Redis: endings go out in groups, claims come back in batches.

Everything that ended while the last call was under way travels with the next one, so a busy worker makes one round
trip for many jobs. Endings are kept until Redis has answered: they are fenced and may be sent twice. Claims are not
(`asking.py`).
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from worker.engine import wire
from worker.engine.asking import Asked, Asking
from worker.engine.backlog import Backlog
from worker.engine.claims import Finish, Holds, Settlement, Status
from worker.engine.log import Log
from worker.engine.outage import UNREACHABLE, Backoff, Outage, in_words, is_outage, leads_elsewhere
from worker.engine.supervision import supervise
from worker.engine.turns import Turns

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextvars import Context

    from worker.engine.claims import Batch
    from worker.engine.options import Options

logger = Log("worker.engine")


class Link:
    """Carry settlements and claims; one call at a time is under way, and nobody waits for a timer.

    `pool` returns the client in use, `context` the one to work in. `refusal` is what the server said to the last call,
    if it refused it.
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
        self._context = context
        self._queues = tuple(queues)
        self._worker_id = worker_id
        self._options = options
        self._outage = outage
        self._waiting = Backlog()
        self._asking = Asking(queues, worker_id, options)
        self._asked: Asked | None = None
        self._turns = Turns(pool, queues, options, self._asking)
        self._pump: asyncio.Task[None] | None = None
        self._closed = False
        self.refusal = ""

    @property
    def turns(self) -> int:
        """Count the beginnings and ends of our calls: odd while one is under way."""
        return self._turns.count

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
        self,
        limit: int,
        reserves: Sequence[int],
        *,
        aborts: bool,
        holds: Holds = Holds.NOTHING,
        ids: Sequence[bytes] = (),
    ) -> Batch:
        """Claim up to `limit` due jobs (or `ids`, if due); raise what the connection raises."""
        self._closed = False
        await self._turns.recover_all()
        asked = self._asking.ask(limit, reserves, aborts=aborts, holds=holds, ids=ids)
        while self._asked is not None:
            await asyncio.wait([self._asked.batch])
        self._asked = asked
        self._start()
        try:
            return await asked.batch
        except asyncio.CancelledError:
            if self._asked is asked:
                self._asked = None
            self._asking.abandon(asked)
            raise

    async def recover(self) -> bool:
        """Hand back what lost claims may have taken, with the retries that the pool was told; say if any were lost."""
        lost = bool(self._asking.unanswered)
        await self._turns.recover_all()
        return lost

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
            await self._turns.recover_all()  # whoever asked was stopped before the answer came
        except UNREACHABLE as error:
            logger.warning("a claim was cut off; what it took runs when its lease ends: %s", in_words(error))
        await self._turns.end()

    async def connect_anew(self) -> None:
        """Trust no connection from before: what one met, others would meet too, each after a time-out of its own."""
        await self._turns.connect_anew()

    def _start(self) -> None:
        if (self._pump is None or self._pump.done()) and (self._waiting or self._asked) and not self._closed:
            # What it logs is not about the job whose ending comes first.
            talking = supervise("conversation with redis", self._talk, self._options.gate, may_return=True)
            self._pump = asyncio.get_running_loop().create_task(talking, context=self._context().copy())

    async def _talk(self) -> None:
        backoff = Backoff()
        while self._waiting or self._asked:
            group = self._waiting.next_group()
            asked, self._asked = self._asked, None
            call = self._outage.begin()
            try:
                await self._turn(group, asked, call)
                backoff.reset()
                if asked is not None:
                    await asyncio.sleep(0)  # whoever asked may ask again: that leaves before his new jobs run
            except UNREACHABLE as error:
                self._outage.failed(error, call)
                self._waiting.put_back(group)
                if leads_elsewhere(error):
                    await self.connect_anew()
                elif not is_outage(error) and len(group) > 1:
                    await self._isolate(self._waiting.next_group())
                self.refusal = "" if is_outage(error) else in_words(error)
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
        group = [settlement for settlement in group if settlement.status is None]
        for number, settlement in enumerate(group):
            call = self._outage.begin()
            try:
                await self._turn([settlement], None, call)
            except UNREACHABLE as error:
                self._outage.failed(error, call)
                if is_outage(error):
                    self._waiting.put_back(group[number:])
                    return
                self._waiting.append(settlement)
            except Exception:
                if _give_up_result(settlement):
                    logger.exception("the result of %s cannot be sent; its end is", settlement.claim.job_id)
                    self._waiting.append(settlement)
                else:
                    logger.exception("the ending of %s cannot be sent; it will run again", settlement.claim.job_id)
                    settlement.settle(Status.UNSENT)

    async def _turn(self, group: list[Settlement], asked: Asked | None, number: int) -> None:
        try:
            calls = wire.settlement_calls(group, self._queues, self._worker_id, self._options)
        except Exception:
            self._asked = asked or self._asked  # nothing was sent: it goes with the next call
            raise
        try:
            await self._turns.take(calls, asked, size=sum(each.size for each in group))
        except Exception as error:
            if asked is not None and not asked.batch.done():  # or it would be waited for without end
                self._asking.refuse(asked, error)
            raise
        self.refusal = ""
        self._outage.answered(number)


def _give_up_result(settlement: Settlement) -> bool:
    """Take the result off a finished job's ending, if it has one: the job must not run again for its sake."""
    if not isinstance(settlement, Finish) or not settlement.result:
        return False
    settlement.result, settlement.life_ms = b"", -1
    return True
