"""Tasks that run beside the jobs, and surely end with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Any

CANCEL_AGAIN_S = 0.2


@asynccontextmanager
async def aside(named: Mapping[str, Coroutine[Any, Any, None]]) -> AsyncIterator[None]:
    """Run each as a task of its name for as long as the block runs; return when the last of them has ended.

    One cancellation is not enough: redis-py looks with a timeout of zero whether a connection has anything to read,
    and a cancellation that meets this look is taken for its timeout and lost.
    """
    tasks = [asyncio.create_task(each, name=name) for name, each in named.items()]
    try:
        yield
    finally:
        running = set(tasks)
        while running:
            for task in running:
                task.cancel()
            _, running = await asyncio.wait(running, timeout=CANCEL_AGAIN_S)
        await asyncio.gather(*tasks, return_exceptions=True)
