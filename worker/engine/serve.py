"""Decide when to claim: while there is room and work, at once; else when called."""

from __future__ import annotations

import asyncio
import contextlib
import random
from typing import TYPE_CHECKING, Final

from worker.engine.log import Log
from worker.engine.outage import UNREACHABLE, Backoff
from worker.engine.supervision import supervise
from worker.engine.upkeep import look_after
from worker.engine.wake import Watcher

if TYPE_CHECKING:
    from collections.abc import Callable

    from redis.asyncio.connection import AbstractConnection

    from worker.engine.claims import Batch
    from worker.engine.worker import Worker

logger = Log("worker.engine")

BACKLOG_LIMIT: Final = 2_000
"""With so many endings waiting to be recorded, nothing more is claimed."""


async def serve(worker: Worker, connect: Callable[[], AbstractConnection]) -> None:
    """Claim and start jobs until cancelled; no fault of Redis ends it, and no other error keeps it from going on."""

    async def broken() -> None:
        worker.leases.doubt()
        await worker.link.connect_anew()

    watcher = Watcher(
        connect,
        worker.queues,
        due=worker.wanted.set,
        broken=broken,
        emptied=worker.leases.beat_soon,  # the worker's record is gone too
        own_writes=lambda: worker.link.turns,
        outages=lambda: (worker.outage.count, worker.outage.lasts),
        idle_poll_s=worker.options.idle_poll_s,
        patience_s=worker.options.command_timeout_s,
    )
    worker.leases.start()
    worker.leases.beat_soon()  # the worker's first record, also of one that was closed before
    async with asyncio.TaskGroup() as helpers:
        gate = worker.options.gate
        watching = helpers.create_task(supervise("wake-up", watcher.run, gate))
        beating = helpers.create_task(supervise("upkeep", lambda: look_after(worker), gate))
        try:
            await supervise("claiming", lambda: _claim_for_ever(worker, watcher), gate)
        finally:
            watching.cancel()
            beating.cancel()


async def _claim_for_ever(worker: Worker, watcher: Watcher) -> None:
    backoff = Backoff()
    outages = 0
    while True:
        await _may_claim(worker)
        worker.wanted.clear()
        if worker.outage.count != outages:
            outages = worker.outage.count
            await _outlast(worker)
            # A replaced server that lives on answers a claim, as one without jobs, over connections from before.
            await worker.link.connect_anew()
            continue
        limit = min(worker.line.room, worker.queue_read_limit, worker.options.claim_limit)
        limit = worker.options.gate.most(limit)
        if limit < 1:
            continue
        call = worker.outage.begin()
        try:
            batch = await worker.claim(limit)
            backoff.reset()
        except UNREACHABLE as error:
            worker.outage.failed(error, call)
            await asyncio.sleep(backoff.next_s())
            continue
        if not batch.more:
            watcher.hunger(in_vain=not batch.claims)
            await _called(worker, watcher, batch)


async def _may_claim(worker: Worker) -> None:
    """Wait for a free slot, a gate that lets a job through, and room for endings."""
    while True:
        await worker.options.gate.wait_passable()
        full = worker.line.room <= 0 or worker.link.backlog >= BACKLOG_LIMIT
        if worker.allow_pick_jobs and not full and not worker.runs.claims_nothing:
            return
        worker.wanted.clear()
        # Whoever runs a job alone is not called when the lease of that is given up.
        await wanted_within(worker, 0.1 if worker.link.backlog or worker.runs.suspects else None)


async def _called(worker: Worker, watcher: Watcher, batch: Batch) -> None:
    """Wait until there may be work: Redis calls, or the next job that the claim has seen comes due, or the poll."""
    timeout_s: float | None = None
    if not watcher.watching:
        timeout_s = worker.poll_delay_s or 0.01
        if not watcher.refused:
            timeout_s = min(timeout_s, 0.1)
    if batch.next_due_ms is not None:
        ahead_s = max((batch.next_due_ms - batch.now_ms) / 1000, 0.001)
        timeout_s = ahead_s if timeout_s is None else min(timeout_s, ahead_s)
    if batch.broken_queues:  # one that is a queue again, and empty, would not call
        timeout_s = min(worker.options.idle_poll_s, timeout_s or worker.options.idle_poll_s)
    worker.waits = True
    await wanted_within(worker, timeout_s)
    worker.waits = False


async def wanted_within(worker: Worker, within_s: float | None) -> None:
    """Wait until the worker is called, for so long at most."""
    # Not `wait_for`: Python 3.11's swallows a cancellation that comes together with the event.
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await worker.wanted.wait()


async def _outlast(worker: Worker) -> None:
    """Return when our leases have been renewed, and after a long outage when others could renew theirs.

    Only then claiming is fair: after a long outage all leases have run out, also those of jobs that still run.
    """
    rounds = worker.leases.rounds
    worker.leases.renew_soon()
    while worker.leases.rounds == rounds:  # noqa: ASYNC110 - counted in a thread
        await asyncio.sleep(0.02)
    long = worker.outage.lasted_s > worker.options.lease_s / 2
    await asyncio.sleep(random.uniform(0.6, 0.9) if long else random.uniform(0.0, 0.05))  # noqa: S311 - jitter


async def own_leases_kept(worker: Worker) -> None:
    """Return at once, unless this worker stood still: then when it has taken back leases that have run out.

    Else it would claim its own running jobs, and count itself among the dead.
    """
    while worker.leases.overdue and not (worker.burst and worker.outage.lasts):
        worker.leases.renew_soon()
        await asyncio.sleep(0.02)


def reserves(worker: Worker, limit: int) -> list[int]:
    """Return for each queue how many of `limit` slots the queues before it must leave to it, if it has due jobs."""
    if len(worker.queues) == 1:
        return [0]
    running = [0] * len(worker.queues)
    for claim in worker.leases.held:
        if claim.holds_slot or claim.in_line:
            running[claim.queue - 1] += 1
    share = worker.options.lower_queue_share * worker.max_jobs
    due_share = int(share) + (random.random() < share % 1)  # noqa: S311 - a fair coin for fractions of a slot
    return [0] + [min(max(due_share - taken, 0), limit) for taken in running[1:]]
