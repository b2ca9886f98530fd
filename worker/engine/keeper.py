"""Keep the bodies of waiting jobs alive: stock producers give them 24 hours, and a backlog may be longer.

Only what has been due for 20 hours and more is touched, so an `_expires` that a producer chose is obeyed, unless it
chose almost a day. One worker of the fleet does it, once an hour, in pages.
"""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from noteflow.infrastructure.queue import keys
from worker.engine.log import Log
from worker.engine.patience import patience
from worker.engine.remaining import shelf_numbers

if TYPE_CHECKING:
    from worker.engine.worker import Worker

logger = Log("worker.engine")

EVERY_S: Final = 3600
OLD_S: Final = 20 * 3600
ABORTED: Final = 1
"""The score that Arq gives to a job which is aborted before it is due, or while it runs: neither has waited."""

_PAGE: Final = 500


async def keep_bodies(worker: Worker, *, now_s: float | None = None) -> int:
    """Take the end off the lives of long due bodies, if nobody has within the hour; return of how many."""
    now = time.time() if now_s is None else now_s
    if now < worker.next_keeping_s:
        return 0
    worker.next_keeping_s = now + EVERY_S / 6
    answer_s = worker.options.command_timeout_s
    async with patience(answer_s):
        if not await _is_ours(worker.pool, worker.worker_id):
            return 0
    kept = 0
    for queue in worker.queues:
        old_ms = (now - OLD_S) * 1000
        await _keep(worker, queue, "-inf", ABORTED)
        kept += await _keep(worker, queue, f"({ABORTED}", old_ms)
        async with patience(answer_s):
            shelves = await shelf_numbers(worker.pool, queue)
        for number in shelves.values():
            shelf_ms = keys.SHELVES_FROM_MS + number * keys.SHELF_WIDTH_MS
            kept += await _keep(worker, queue, shelf_ms, shelf_ms + old_ms)
        # Leases of jobs that nobody of ours has ended. Claims strike them too, but only when there is a backlog.
        async with patience(answer_s):
            await worker.pool.zremrangebyscore(keys.LEASES_PREFIX + queue, "-inf", old_ms)
        await _forget_holders(worker, queue, answer_s)
    if kept:
        logger.warning("%d jobs have waited for most of a day; their bodies no longer expire", kept)
    return kept


async def _is_ours(pool: Any, worker_id: str) -> bool:
    """Return whether no other worker has done it within the hour; a note without an end was left by none."""
    if await pool.set(keys.KEEPER, worker_id, nx=True, ex=EVERY_S):
        return True
    return bool(await pool.ttl(keys.KEEPER) == -1 and await pool.set(keys.KEEPER, worker_id, ex=EVERY_S))


async def _forget_holders(worker: Worker, queue: str, answer_s: float) -> None:
    """Forget who held what nobody of ours has ended: a stock worker has, or has put it back."""
    async with patience(answer_s):
        holders = await worker.pool.hkeys(keys.HOLDERS_PREFIX + queue)  # type: ignore[misc]
    for start in range(0, len(holders), _PAGE):
        page = holders[start : start + _PAGE]
        async with patience(answer_s), worker.pool.pipeline(transaction=False) as pipe:
            for key in page:
                pipe.zscore(queue, key)
                pipe.zscore(keys.LEASES_PREFIX + queue, key)
            found = await pipe.execute()
        places = zip(page, found[::2], found[1::2], strict=True)
        ended = [key for key, score, lease in places if lease is None and (score is None or score == int(score))]
        if ended:
            async with patience(answer_s):
                await worker.pool.hdel(keys.HOLDERS_PREFIX + queue, *ended)  # type: ignore[misc]
        await asyncio.sleep(0)


async def _keep(worker: Worker, queue: str, from_ms: float | str, before_ms: float) -> int:
    kept, start = 0, 0
    while True:
        async with patience(worker.options.command_timeout_s):
            page = await worker.pool.zrangebyscore(queue, from_ms, before_ms, start=start, num=_PAGE)
            if not page:
                return kept
            async with worker.pool.pipeline(transaction=False) as pipe:
                for key in page:
                    pipe.persist(keys.JOB_PREFIX.encode() + key)
                kept += sum(await pipe.execute())
        start += len(page)
        await asyncio.sleep(0)
