"""Wait for Redis for so long and no longer: a flow that was dropped without a word would be waited for in vain.

Only the time in which the event loop turns counts. A job that blocks it keeps the answer from being read, however
quick the server was. So the time passes in ticks, and a tick that comes late is one tick. Nor does time count in which
a large answer is coming: who gave that up, over a slow link, would ask for it again, and give it up again.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

from noteflow.infrastructure.queue.closed_connections import closed_connections_told

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

_TICKS: Final = 5


@asynccontextmanager
async def patience(within_s: float, come: Callable[[], int] = lambda: 0) -> AsyncIterator[None]:
    """Raise TimeoutError when what is done inside takes longer; that, or a closed connection, is a server away.

    `come` says how much of an answer has come so far. When that has changed, the time begins anew.
    """
    with closed_connections_told():
        async with asyncio.timeout(None) as limit:
            clock = _Clock(limit, within_s / _TICKS, come)
            try:
                yield
            finally:
                clock.stop()


class _Clock:
    """Let `limit` run out after so many ticks in which nothing has come."""

    def __init__(self, limit: asyncio.Timeout, tick_s: float, come: Callable[[], int]) -> None:
        self._limit = limit
        self._tick_s = tick_s
        self._left = _TICKS
        self._come = come
        self._seen = 0
        self._loop = asyncio.get_running_loop()
        self._timer = self._loop.call_later(tick_s, self._tick)

    def _tick(self) -> None:
        seen, self._seen = self._seen, self._come()
        self._left = _TICKS if self._seen != seen else self._left - 1
        if self._left:
            self._timer = self._loop.call_later(self._tick_s, self._tick)
        else:
            self._limit.reschedule(self._loop.time())

    def stop(self) -> None:
        self._timer.cancel()
