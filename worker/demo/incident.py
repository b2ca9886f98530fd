"""Kills a worker in the middle of its work, and hires another."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

from noteflow.domain.value_objects import MeetingId
from worker.demo.fleet import Fleet, Worker
from worker.demo.store import Store

_LONGEST_WAIT_S = 3.0
_LONGEST_NOTICE_S = 0.5


async def kill_one(fleet: Fleet, store: Store, meetings: Sequence[MeetingId]) -> tuple[Worker, int]:
    """SIGKILL a worker that has transactions open, start another one, and return the dead one with their number.

    The meetings' rows are locked for a moment, so that a worker is sure to be met in mid-transaction; should
    none be met, one is killed all the same. The lock stays until PostgreSQL has noticed the death, and rolled
    back, or for half a second: a server that does not look will finish what it was told, and the jobs, done
    again, must find it done.
    """
    async with store.holding(meetings):
        victim, transactions = await _busiest(fleet, store)
        await asyncio.to_thread(fleet.kill, victim)
        await _rolled_back(victim, store)
    fleet.hire()
    return victim, transactions


async def _rolled_back(victim: Worker, store: Store) -> None:
    deadline = time.monotonic() + _LONGEST_NOTICE_S
    while True:
        if not await store.waiting_transactions(victim.pid) or time.monotonic() > deadline:
            return
        await asyncio.sleep(0.01)


async def _busiest(fleet: Fleet, store: Store) -> tuple[Worker, int]:
    deadline = time.monotonic() + _LONGEST_WAIT_S
    while True:
        busy = [(await store.waiting_transactions(worker.pid), -worker.number, worker) for worker in fleet.workers]
        transactions, _, victim = max(busy)
        if transactions or time.monotonic() > deadline:
            return victim, transactions
        await asyncio.sleep(0.01)
