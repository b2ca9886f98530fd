"""Be called by Redis when a queue changes, also by a plain producer's ZADD, without any server configuration.

`CLIENT TRACKING` (RESP3, Redis 6) makes the server push one message with the next write to a key this connection has
read. So the watcher reads the head of each queue, which arms the call, and then waits: for the push, for the head to
come due, or for the slow poll. Arming and looking are one command, so nothing slips between them. A burst of writes
makes one push, and a busy worker, which does not arm, is never called.

Every write calls every idle worker, and most writes are claims and endings, which leave nothing to be had. So a worker
called in vain waits a little before it looks the next time, longer each time; one that finds work answers at once.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import hiredis
from redis.exceptions import ResponseError

from worker.engine.log import Log
from worker.engine.outage import UNREACHABLE, Backoff, is_outage, leads_elsewhere
from worker.engine.patience import patience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio.connection import AbstractConnection

logger = Log("worker.engine")

_SHORTEST_GAP_S = 0.001
_LONGEST_GAP_S = 0.02
_ASK_AGAIN_S = 30.0


class Watcher:
    """Call `due` when a hungry worker should claim; `watching` says whether Redis will call us at all.

    `broken` is called when the connection is lost: its neighbours in the pool are likely to be lost too. `emptied` is
    called when the server lost all its keys at once (FLUSHALL), which it tells everybody whom it would call.
    `own_writes` counts the beginnings and ends of what this worker writes itself, which calls it too: it is odd
    meanwhile. When what `outages` returns has changed, the watcher connects anew: its connection only reads, and would
    not notice that it leads to a server which was replaced.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractConnection],
        queues: Sequence[str],
        *,
        due: Callable[[], None],
        broken: Callable[[], Awaitable[None]],
        emptied: Callable[[], None],
        own_writes: Callable[[], int],
        outages: Callable[[], object],
        idle_poll_s: float,
        patience_s: float,
    ) -> None:
        self._connect = connect
        self._queues = tuple(queues)
        self._due = due
        self._broken = broken
        self._emptied = emptied
        self._own_writes = own_writes
        self._outages = outages
        self._idle_poll_s = idle_poll_s
        self._patience_s = patience_s
        self._hungry = asyncio.Event()
        self._in_vain = False
        self._has_called = False
        self._gap_s = 0.0
        self._called_by_others = False
        self._writes_when_armed = 0
        self._pushed = False
        self.watching = False
        self.refused = False

    def hunger(self, *, in_vain: bool) -> None:
        """Begin to watch: the last claim found all there was. `in_vain`: it was called for and found nothing.

        What is due and cannot be had (paused, or running in a stock worker) would call us without end; after a claim in
        vain only a change, or the slow poll, calls again.
        """
        # Only a claim made after arming tells: what came between an earlier one and the arming has pushed nothing.
        self._in_vain = in_vain and self._has_called
        self._has_called = False
        if in_vain:
            self._grow_patient()
        else:
            self._gap_s = 0.0
        self._hungry.set()

    async def run(self) -> None:
        """Watch until cancelled. While the server refuses tracking the worker polls, and the server is asked again."""
        backoff = Backoff()
        while True:
            connection, outages = self._connect(), self._outages()
            try:
                if await self._track(connection):
                    backoff.reset()
                    self.watching = True
                    await self._watch(connection, outages)
            except UNREACHABLE as error:
                # The worker's own calls report the outage. It polls until we are connected again.
                if leads_elsewhere(error):
                    await self._broken()
                self._due()
                await asyncio.sleep(backoff.next_s())
            finally:
                self.watching = False
                self._due()  # the claims poll from now on, whatever ended this
                await connection.disconnect(nowait=True)
            if self.refused:  # by a user's rights, which may be granted, or by a server that may be replaced
                await asyncio.sleep(_ASK_AGAIN_S)

    async def _track(self, connection: AbstractConnection) -> bool:
        async with patience(self._patience_s):
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("CLIENT", "TRACKING", "ON")
            try:
                await self._reply(connection)
            except ResponseError as error:
                if is_outage(error):  # a busy script, a full memory: over in a moment
                    raise
                if not self.refused:
                    logger.warning("redis refuses CLIENT TRACKING, polling instead: %s", error)
                self.refused = True
                return False
        if self.refused:
            logger.info("redis accepts CLIENT TRACKING, polling no longer")
        self.refused = False
        return True

    async def _watch(self, connection: AbstractConnection, outages: object) -> None:
        """Call, over and over; return when another server may answer by now."""
        while True:
            await self._hungry.wait()
            if self._outages() != outages:
                self._due()
                return
            async with patience(self._patience_s):
                wait_s = await self._arm(connection)
            if wait_s <= 0 and not self._in_vain:
                self._call()
                continue
            if self._called_by_others:
                self._grow_patient()
            ahead_s = wait_s if wait_s > 0 else self._idle_poll_s
            pushed = await self._pushed_within(connection, min(ahead_s, self._idle_poll_s))
            self._called_by_others = pushed and not self._have_written()
            if pushed:
                self._in_vain = False
                if self._called_by_others:
                    await self._answer_others()
            elif wait_s <= self._idle_poll_s:
                self._call()

    async def _answer_others(self) -> None:
        """Claim at once, rather than look first, unless such calls were in vain of late."""
        if self._gap_s:
            await asyncio.sleep(self._gap_s)
        else:
            self._call(armed=False)

    def _have_written(self) -> bool:
        """Tell whether the call may be our doing: something of ours was under way when we armed, or has been since."""
        return self._own_writes() != self._writes_when_armed or self._writes_when_armed % 2 == 1

    def _grow_patient(self) -> None:
        self._gap_s = min(max(self._gap_s * 2, _SHORTEST_GAP_S), _LONGEST_GAP_S)

    def _call(self, *, armed: bool = True) -> None:
        self._hungry.clear()
        self._called_by_others = False
        self._has_called = armed
        self._due()

    async def _arm(self, connection: AbstractConnection) -> float:
        """Read the queues' heads, which arms tracking; return in how many seconds the first is due."""
        heads = [("ZRANGE", queue, 0, 0, "WITHSCORES") for queue in self._queues]
        self._writes_when_armed = self._own_writes()
        await connection.send_packed_command(connection.pack_commands([("TIME",), *heads]))
        self._pushed = False
        seconds, microseconds = await self._reply(connection)
        if self._pushed:
            # Written since the last arming, perhaps also since the claim in vain.
            self._in_vain = self._pushed = False
        now_ms = int(seconds) * 1000 + int(microseconds) / 1000
        earliest_ms = float("inf")
        for _ in heads:
            for _, score in await self._head(connection):
                earliest_ms = min(earliest_ms, float(score))
        return (earliest_ms - now_ms) / 1000

    async def _head(self, connection: AbstractConnection) -> Any:
        """Return a queue's head. What is no queue counts as due, so that a claim looks at it now and then."""
        try:
            return await self._reply(connection)
        except ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            return [(b"", float("-inf"))]

    async def _reply(self, connection: AbstractConnection) -> Any:
        while True:
            answer = await connection.read_response()
            if not isinstance(answer, hiredis.PushNotification):
                return answer
            self._pushed = self._heard(answer)

    async def _pushed_within(self, connection: AbstractConnection, timeout_s: float) -> bool:
        if self._pushed:
            return True
        answer = await connection.read_response(timeout=max(timeout_s, 0.001))
        return isinstance(answer, hiredis.PushNotification) and self._heard(answer)

    def _heard(self, push: hiredis.PushNotification) -> bool:
        # An invalidation names its keys; one that names none means all there were.
        if len(push) > 1 and push[1] is None:
            self._emptied()
        return True
