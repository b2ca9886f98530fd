"""Tell what a queue holds beside what is paused: what a burst still has to wait for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from redis.exceptions import ResponseError

from noteflow.infrastructure.queue import keys
from worker.engine.outage import is_outage


@dataclass(frozen=True, slots=True)
class Remaining:
    """Say how many jobs of a queue may run, now or later, and how many a pause keeps from it.

    `paused` counts them by the field of ``arq:paused`` that keeps them.
    """

    runnable: int
    paused: dict[bytes, int]


async def remaining(redis: Any, queue: str) -> Remaining:
    """Count the jobs of a queue. A paused function's are known for such once a claim has come upon them."""
    async with redis.pipeline(transaction=False) as pipe:
        pipe.zcard(queue)
        pipe.hkeys(keys.PAUSED)
        jobs, paused = await pipe.execute(raise_on_error=False)
    paused = _sound(paused, [])
    if isinstance(jobs, Exception):
        raise jobs  # a burst must not take what is no queue for an empty one
    of_queue = f"queue:{queue}".encode()
    if of_queue in paused:
        return Remaining(0, {of_queue: jobs} if jobs else {})
    shelves = await shelf_numbers(redis, queue) if jobs else {}
    kept = [(b"function:" + name, number) for name, number in shelves.items() if b"function:" + name in paused]
    if not kept:
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


async def shelf_numbers(redis: Any, queue: str) -> dict[bytes, int]:
    """Return the numbers of a queue's shelves by function; what is none is left to the next claim, which strikes it."""
    async with redis.pipeline(transaction=False) as pipe:
        pipe.hgetall(keys.SHELVES_PREFIX + queue)
        (shelves,) = await pipe.execute(raise_on_error=False)
    return {name: int(number) for name, number in _sound(shelves, {}).items() if number.isdigit() and len(number) <= 2}


def _sound(answer: Any, nothing: Any) -> Any:
    """Return an answer; nothing where the server refused it, for under the key may be something else."""
    if isinstance(answer, ResponseError) and not is_outage(answer):
        return nothing
    if isinstance(answer, Exception):
        raise answer
    return answer
