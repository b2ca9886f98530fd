"""Be called by Redis when a queue changes, also by a plain producer's ZADD, without any server configuration.

`CLIENT TRACKING` (RESP3, Redis 6) makes the server push one message with the next write to a key this connection has
read. So the watcher reads the head of each queue, which arms the call, and then waits: for the push, for the head to
come due, or for the slow poll. Arming and looking are one command, so nothing slips between them. A burst of writes
makes one push, and a busy worker, which does not arm, is never called.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, Any

import hiredis
from redis.exceptions import ResponseError

from worker.engine.outage import UNREACHABLE, Backoff

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from redis.asyncio.connection import AbstractConnection

logger = logging.getLogger("worker.engine")

_SHORTEST_GAP_S = 0.002
_LONGEST_GAP_S = 0.02
_ROW_S = 0.005


class Watcher:
    """Call `due` when a hungry worker should claim; `watching` says whether Redis will call us at all.

    `broken` is called when the connection is lost: its neighbours in the pool are likely to be lost too. When what
    `outages` returns has changed, the watcher connects anew: its connection only reads, and would not notice that it
    leads to a server which was replaced.
    """

    def __init__(
        self,
        connect: Callable[[], AbstractConnection],
        queues: Sequence[str],
        *,
        due: Callable[[], None],
        broken: Callable[[], Awaitable[None]],
        outages: Callable[[], object],
        idle_poll_s: float,
        patience_s: float,
    ) -> None:
        self._connect = connect
        self._queues = tuple(queues)
        self._due = due
        self._broken = broken
        self._outages = outages
        self._idle_poll_s = idle_poll_s
        self._patience_s = patience_s
        self._hungry = asyncio.Event()
        self._in_vain = False
        self._has_called = False
        self._gap_s = _SHORTEST_GAP_S
        self._last_call = 0.0
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
        self._gap_s = min(self._gap_s * 2, _LONGEST_GAP_S) if in_vain else _SHORTEST_GAP_S
        self._hungry.set()

    async def run(self) -> None:
        """Watch until cancelled; return only if the server refuses to call, then the worker polls."""
        backoff = Backoff()
        while True:
            connection, outages = self._connect(), self._outages()
            try:
                if not await self._track(connection):
                    return
                backoff.reset()
                self.watching = True
                await self._watch(connection, outages)
            except UNREACHABLE:
                # The worker's own calls report the outage. It polls until we are connected again.
                await self._broken()
                self._due()
                await asyncio.sleep(backoff.next_s())
            finally:
                self.watching = False
                await connection.disconnect(nowait=True)

    async def _track(self, connection: AbstractConnection) -> bool:
        async with asyncio.timeout(self._patience_s):
            await connection.connect()  # type: ignore[no-untyped-call]
            await connection.send_command("CLIENT", "TRACKING", "ON")
            try:
                await self._reply(connection)
            except ResponseError as error:
                logger.warning("the server refuses CLIENT TRACKING, polling instead: %s", error)
                self.refused = True
        return not self.refused

    async def _watch(self, connection: AbstractConnection, outages: object) -> None:
        """Call, over and over; return when another server may answer by now."""
        while True:
            await self._hungry.wait()
            if self._outages() != outages:
                self._due()
                return
            async with asyncio.timeout(self._patience_s):
                wait_s = await self._arm(connection)
            if wait_s <= 0 and not self._in_vain:
                self._call()
                continue
            ahead_s = wait_s if wait_s > 0 else self._idle_poll_s
            if await self._pushed_within(connection, min(ahead_s, self._idle_poll_s)):
                self._in_vain = False
                if self._is_lonely_call():
                    self._call(armed=False)
                else:
                    await asyncio.sleep(self._gap_s)
            elif wait_s <= self._idle_poll_s:
                self._call()

    def _is_lonely_call(self) -> bool:
        """Tell whether to claim at once rather than look first: not when calls come in a row.

        Those are for the most part other workers' claims and endings, which leave nothing to be had.
        """
        before, self._last_call = self._last_call, time.monotonic()
        return self._last_call - before > _ROW_S

    def _call(self, *, armed: bool = True) -> None:
        self._hungry.clear()
        self._has_called = armed
        self._due()

    async def _arm(self, connection: AbstractConnection) -> float:
        """Read the queues' heads, which arms tracking; return in how many seconds the first is due."""
        heads = [("ZRANGE", queue, 0, 0, "WITHSCORES") for queue in self._queues]
        await connection.send_packed_command(connection.pack_commands([("TIME",), *heads]))
        self._pushed = False
        seconds, microseconds = await self._reply(connection)
        if self._pushed:
            # Written since the last arming, perhaps also since the claim in vain.
            self._in_vain = self._pushed = False
        now_ms = int(seconds) * 1000 + int(microseconds) / 1000
        earliest_ms = float("inf")
        for _ in heads:
            for _, score in await self._reply(connection):
                earliest_ms = min(earliest_ms, float(score))
        return (earliest_ms - now_ms) / 1000

    async def _reply(self, connection: AbstractConnection) -> Any:
        while True:
            answer = await connection.read_response()
            if not isinstance(answer, hiredis.PushNotification):
                return answer
            self._pushed = True

    async def _pushed_within(self, connection: AbstractConnection, timeout_s: float) -> bool:
        if self._pushed:
            return True
        answer = await connection.read_response(timeout=max(timeout_s, 0.001))
        return isinstance(answer, hiredis.PushNotification)
