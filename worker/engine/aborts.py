"""Stop the running jobs whose producers have aborted them; those that wait are ended by their claim."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noteflow.infrastructure.queue import keys

if TYPE_CHECKING:
    from worker.engine.worker import Worker


async def cancel_aborted(worker: Worker) -> None:
    """Cancel each running job that has a mark, and take the mark off."""
    if not worker.job_tasks or not await worker.pool.exists(keys.ABORT):
        return
    running = list(worker.job_tasks)
    async with worker.pool.pipeline(transaction=False) as pipe:
        for job_id in running:
            pipe.zscore(keys.ABORT, job_id)
        marks = await pipe.execute()
    aborted = [job_id for job_id, mark in zip(running, marks, strict=True) if mark is not None]
    for job_id in aborted:
        task = worker.job_tasks.get(job_id)
        if task is not None:
            worker.aborting_tasks.add(job_id)
            task.cancel()
    if aborted:
        await worker.pool.zrem(keys.ABORT, *aborted)
