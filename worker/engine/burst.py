"""Work until nothing is left, then end: what ``burst=True`` asks for."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final

from worker.engine.outage import UNREACHABLE
from worker.engine.patience import patience
from worker.engine.remaining import remaining
from worker.engine.serve import wanted_within

if TYPE_CHECKING:
    from worker.engine.worker import Worker

PAUSE_S: Final = 0.02


async def burst(worker: Worker) -> None:
    """Run what is due until no more than paused jobs is left, ``max_burst_jobs`` have been started, or it stops."""
    while True:
        worker.wanted.clear()
        await worker._poll_iteration()
        if 0 <= worker.max_burst_jobs <= worker._jobs_started():
            break
        if not worker.tasks and (not worker.allow_pick_jobs or await _nothing_remains(worker)):
            break
        if worker.job_counter >= worker.max_jobs or not worker.allow_pick_jobs or not worker.tasks:
            await wanted_within(worker, max(worker.poll_delay_s, PAUSE_S))
        else:
            await asyncio.wait(worker.tasks.values(), timeout=max(worker.poll_delay_s, PAUSE_S))
    await asyncio.gather(*worker.tasks.values(), return_exceptions=True)


async def _nothing_remains(worker: Worker) -> bool:
    for queue in worker.queues:
        async with patience(worker.options.command_timeout_s):
            if (await remaining(worker.pool, queue)).runnable:
                return False
    return True


async def claim_in_burst(worker: Worker, limit: int) -> None:
    """Claim; where one connection was lost, hand back what that claim may have taken, and claim once more.

    If the server is away, raise what the first claim met.
    """
    try:
        await worker.claim(limit)
    except UNREACHABLE:
        recovered = False
        with contextlib.suppress(*UNREACHABLE):
            recovered = await worker.link.recover()
        if not recovered:
            raise
        await worker.claim(limit)
