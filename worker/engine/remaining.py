"""Tell what a queue holds beside what is paused: what a burst still has to wait for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from noteflow.infrastructure.queue import keys


@dataclass(frozen=True, slots=True)
class Remaining:
    """Say how many jobs of a queue may run, now or later, and how many a pause keeps from it.

    `paused` counts them by the field of ``arq:paused`` that keeps them.
    """

    runnable: int
    paused: dict[bytes, int]


async def remaining(redis: Any, queue: str) -> Remaining:
    """Count the jobs of a queue. A paused function's are known for such once a claim has come upon them."""
    async with redis.pipeline(transaction=True) as pipe:
        pipe.zcard(queue)
        pipe.hkeys(keys.PAUSED)
        pipe.hgetall(keys.SHELVES_PREFIX + queue)
        jobs, paused, shelves = await pipe.execute()
    of_queue = f"queue:{queue}".encode()
    if of_queue in paused:
        return Remaining(0, {of_queue: jobs} if jobs else {})
    kept = [(b"function:" + name, int(number)) for name, number in shelves.items() if b"function:" + name in paused]
    if not kept or not jobs:
        return Remaining(jobs, {})
    async with redis.pipeline(transaction=True) as pipe:
        pipe.zcard(queue)
        for _, number in kept:
            shelf_ms = keys.SHELVES_FROM_MS + number * keys.SHELF_WIDTH_MS
            pipe.zcount(queue, shelf_ms, f"({shelf_ms + keys.SHELF_WIDTH_MS}")
        jobs, *shelved = await pipe.execute()
    return Remaining(
        jobs - sum(shelved), {field: count for (field, _), count in zip(kept, shelved, strict=True) if count}
    )
