"""Stop the running jobs whose producers have aborted them; those that wait are ended by their claim."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from noteflow.infrastructure.queue import keys

if TYPE_CHECKING:
    from worker.engine.worker import Worker

UNMEANT_AFTER_S: Final = 60
_PAGE: Final = 200


async def cancel_aborted(worker: Worker) -> None:
    """Cancel each running job that has a mark, and take the mark off."""
    if not worker.job_tasks or not await worker.pool.exists(keys.ABORT):
        return
    running = list(worker.job_tasks)
    async with worker.pool.pipeline(transaction=False) as pipe:
        for job_id in running:
            pipe.zscore(keys.ABORT, job_id)
        marks = await pipe.execute(raise_on_error=False)
    # An error is no mark: under the key may be something else.
    aborted = [job_id for job_id, mark in zip(running, marks, strict=True) if isinstance(mark, float)]
    for job_id in aborted:
        task = worker.job_tasks.get(job_id)
        if task is not None:
            worker.aborting_tasks.add(job_id)
            task.cancel()
    if aborted:
        await worker.pool.zrem(keys.ABORT, *aborted)


async def forget_unmeant(worker: Worker) -> int:
    """Take off marks, a minute old, of jobs that are no more, and return how many: an id may be used again.

    They were set when the job had ended already, and would abort the next one.
    """
    forgotten, start = 0, 0
    long_ago_ms = (time.time() - UNMEANT_AFTER_S) * 1000
    while marked := await worker.pool.zrangebyscore(keys.ABORT, "-inf", long_ago_ms, start=start, num=_PAGE):
        async with worker.pool.pipeline(transaction=False) as pipe:
            for key in marked:
                pipe.exists(keys.JOB_PREFIX.encode() + key)
            found = await pipe.execute()
        gone = [key for key, exists in zip(marked, found, strict=True) if not exists]
        if gone:
            forgotten += await worker.pool.zrem(keys.ABORT, *gone)
        start += len(marked) - len(gone)
    return forgotten
