"""An answer that many may ask for and few have to fetch."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Cached(Generic[T]):
    """Gives what `fetch` last answered, no older than `fresh_s`, within `patience_s` whatever `fetch` does.

    One fetch runs at a time. One that hangs is not cancelled, for a driver may hang in that too: it is left to its own
    time-outs, and whoever asks meanwhile is told at once that there is no answer.
    """

    def __init__(self, fetch: Callable[[], Awaitable[T]], *, fresh_s: float, patience_s: float) -> None:
        self._fetch = fetch
        self._fresh_s = fresh_s
        self._patience_s = patience_s
        self._fetching: asyncio.Task[T] | None = None
        self._began_at = 0.0
        self._answer: T | None = None
        self._answered_at: float | None = None

    async def get(self) -> T:
        """The answer. Raises TimeoutError, or what `fetch` raised."""
        if self._answered_at is not None and time.monotonic() - self._answered_at < self._fresh_s:
            assert self._answer is not None
            return self._answer
        if self._fetching is None or self._fetching.done():
            self._began_at = time.monotonic()
            self._fetching = asyncio.ensure_future(self._fetch_and_keep())
            # Of one that nobody waits for any more the error is nobody's either.
            self._fetching.add_done_callback(lambda done: done.cancelled() or done.exception())
        fetching = self._fetching
        left_s = self._began_at + self._patience_s - time.monotonic()
        await asyncio.wait([fetching], timeout=max(0.0, left_s))
        if not fetching.done():
            raise TimeoutError
        return fetching.result()

    async def _fetch_and_keep(self) -> T:
        self._answer = answer = await self._fetch()
        self._answered_at = time.monotonic()
        return answer

    async def close(self) -> None:
        """Give up what is being fetched."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching], timeout=self._patience_s)
