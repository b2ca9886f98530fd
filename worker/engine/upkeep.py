"""Look after what has no event of its own, twice a second."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from worker.engine.aborts import UNMEANT_AFTER_S, forget_unmeant
from worker.engine.keeper import keep_bodies
from worker.engine.outage import UNREACHABLE
from worker.engine.patience import patience

if TYPE_CHECKING:
    from worker.engine.worker import Worker


async def look_after(worker: Worker) -> None:
    """Look after cron, the queue's line of health, aborts and the life of waiting bodies, until cancelled."""
    pause_s, answer_s = max(worker.poll_delay_s, 0.5), worker.options.command_timeout_s
    unmeant_at = 0.0
    while True:
        call, outages = worker.outage.begin(), worker.outage.count
        try:
            if worker.allow_abort_jobs:
                async with patience(answer_s):
                    await worker._cancel_aborted_jobs()
            async with patience(answer_s * (1 + len(worker.cron_jobs))):
                await worker.heart_beat()
            await keep_bodies(worker)
            if time.monotonic() >= unmeant_at:
                unmeant_at = time.monotonic() + UNMEANT_AFTER_S
                async with patience(answer_s):
                    await forget_unmeant(worker)
        except UNREACHABLE as error:
            worker.outage.failed(error, call)
            worker.leases.renew_soon()  # it says whether Redis is away, or only this connection was lost
        if worker.outage.count != outages:  # what was in use as others were given up rests in the pool by now
            await worker.link.connect_anew()
        await asyncio.sleep(pause_s)
