"""Wait for what must come true, never for time to pass."""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import TYPE_CHECKING, Any, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

T = TypeVar("T")


@overload
async def eventually(predicate: Callable[[], Awaitable[T]], *, within_s: float = 10.0, every_s: float = 0.01) -> T: ...
@overload
async def eventually(predicate: Callable[[], T], *, within_s: float = 10.0, every_s: float = 0.01) -> T: ...
async def eventually(predicate: Callable[[], Any], *, within_s: float = 10.0, every_s: float = 0.01) -> Any:
    """Return the predicate's first truthy value; AssertionError with the last one when the time is over."""
    deadline = time.monotonic() + within_s
    while True:
        answer = predicate()
        value = await answer if inspect.isawaitable(answer) else answer
        if value:
            return value
        assert time.monotonic() < deadline, f"not within {within_s} s; the last answer was {value!r}"
        await asyncio.sleep(every_s)


def eventually_sync(predicate: Callable[[], T], *, within_s: float = 10.0, every_s: float = 0.01) -> T:
    """Return the predicate's first truthy value; AssertionError with the last one when the time is over."""
    deadline = time.monotonic() + within_s
    while not (value := predicate()):
        assert time.monotonic() < deadline, f"not within {within_s} s; the last answer was {value!r}"
        time.sleep(every_s)
    return value
