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
        if self._fetching is None:
            self._began_at = time.monotonic()
            self._fetching = asyncio.ensure_future(self._fetch())
        fetching = self._fetching
        left_s = self._began_at + self._patience_s - time.monotonic()
        await asyncio.wait([fetching], timeout=max(0.0, left_s))
        if not fetching.done():
            raise TimeoutError
        if self._fetching is fetching:
            self._fetching = None
            if fetching.exception() is None:
                self._answer, self._answered_at = fetching.result(), time.monotonic()
        return fetching.result()

    async def close(self) -> None:
        """Give up what is being fetched."""
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching], timeout=self._patience_s)
