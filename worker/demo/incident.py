"""Kills a worker in the middle of its work, hires another, and watches what becomes of the dead one's jobs."""

from __future__ import annotations

import asyncio
import time

from worker.demo.fleet import Fleet, Worker
from worker.demo.ground import Ground, Performance
from worker.demo.jobs import held_by
from worker.demo.store import Store

_LONGEST_WAIT_S = 3.0
_LONGEST_NOTICE_S = 0.5
_ENOUGH, _GATHER_S = 5, 0.3
_LONGEST_RESCUE_S = 60.0


async def interrupt(halfway: asyncio.Event, performance: Performance, ground: Ground) -> None:
    """Once halfway, kill a worker; return when all that it held has ended, or a minute has gone by."""
    await halfway.wait()
    victim, transactions = await _kill_one(performance, ground)
    killed_at = time.monotonic()
    ground.display.say(
        f"worker {victim.number} (process {victim.pid}) killed with SIGKILL in the middle of {transactions}"
        f" transaction(s); worker {ground.fleet.hire().number} takes its place"
    )
    orphans = await held_by(ground.redis, victim.pid, performance.job_ids)
    ground.display.say(f"{len(orphans)} job(s) were in its hands and wait until its leases on them end")
    while any(job_id not in performance.endings for job_id in orphans):
        if time.monotonic() - killed_at > _LONGEST_RESCUE_S:
            return
        await asyncio.sleep(0.1)
    entries = [performance.endings.ledger[job_id] for job_id in orphans if job_id in performance.endings.done]
    committed = sum(f":{victim.pid}:" in entry.worker for entry in entries)
    ground.display.say(
        f"{time.monotonic() - killed_at:.1f} s after its death the others have seen to them:"
        f" {len(entries) - committed} done anew, {committed} found committed"
    )


async def _kill_one(performance: Performance, ground: Ground) -> tuple[Worker, int]:
    """SIGKILL a worker that has transactions open, and return it with their number.

    The meetings' rows are locked for a moment, so that a worker is sure to be met in mid-transaction; should
    none be met, one is killed all the same. The lock stays until PostgreSQL has noticed the death, and rolled
    back, or for half a second: a server that does not look will finish what it was told, and the jobs, done
    again, must find it done.
    """
    async with ground.store.holding(performance.meetings):
        victim, transactions = await _busiest(ground.fleet, ground.store)
        await asyncio.to_thread(ground.fleet.kill, victim)
        await _rolled_back(victim, ground.store)
    return victim, transactions


async def _busiest(fleet: Fleet, store: Store) -> tuple[Worker, int]:
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while True:
        busy = [(await store.waiting_transactions(worker.pid), -worker.number, worker) for worker in fleet.workers]
        transactions, _, victim = max(busy)
        if transactions:
            deadline = min(deadline, time.monotonic() + _GATHER_S)
        if transactions >= _ENOUGH or time.monotonic() > deadline:
            return victim, transactions
        await asyncio.sleep(0.01)


async def _rolled_back(victim: Worker, store: Store) -> None:
    deadline = time.monotonic() + _LONGEST_NOTICE_S
    while True:
        if not await store.waiting_transactions(victim.pid) or time.monotonic() > deadline:
            return
        await asyncio.sleep(0.01)
