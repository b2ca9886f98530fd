"""Look after what has no event of its own, twice a second."""

from __future__ import annotations

import asyncio
import math
import time
from typing import TYPE_CHECKING

from worker.engine.aborts import UNMEANT_AFTER_S, forget_unmeant
from worker.engine.keeper import keep_bodies
from worker.engine.outage import UNREACHABLE, is_outage
from worker.engine.patience import patience

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from worker.engine.worker import Worker


async def look_after(worker: Worker) -> None:
    """Look after cron, the queue's line of health, aborts and the life of waiting bodies, until cancelled."""
    pause_s = max(worker.poll_delay_s, 0.5)
    unmeant_at = 0.0
    while True:
        outages, is_time = worker.outage.count, time.monotonic() >= unmeant_at
        for within_s, step in _steps(worker, is_time):
            if not await _taken(worker, within_s, step):
                break
        if is_time:
            unmeant_at = time.monotonic() + UNMEANT_AFTER_S
        if worker.outage.count != outages:  # what was in use as others were given up rests in the pool by now
            await worker.link.connect_anew()
        await asyncio.sleep(pause_s)


def _steps(worker: Worker, unmeant: bool) -> Iterator[tuple[float, Callable[[], Awaitable[object]]]]:
    """Yield each step and how long it may take; `unmeant`: whether it is time to forget marks of aborts."""
    answer_s = worker.options.command_timeout_s
    if worker.allow_abort_jobs:
        yield answer_s, worker._cancel_aborted_jobs
    yield answer_s * (1 + len(worker.cron_jobs)), worker.heart_beat
    yield math.inf, lambda: keep_bodies(worker)  # which limits each of its own
    if unmeant:
        yield answer_s, lambda: forget_unmeant(worker)


async def _taken(worker: Worker, within_s: float, step: Callable[[], Awaitable[object]]) -> bool:
    """Take one step and return whether Redis is there; one that it refuses must not keep the others from theirs."""
    call = worker.outage.begin()
    try:
        if math.isinf(within_s):
            await step()
        else:
            async with patience(within_s):
                await step()
    except UNREACHABLE as error:
        worker.outage.failed(error, call)
        if is_outage(error):
            worker.leases.renew_soon()  # it says whether Redis is away, or only this connection was lost
            return False
    return True
