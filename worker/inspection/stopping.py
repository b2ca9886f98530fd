"""Who ends a running job that an operator has cancelled, and when."""

from __future__ import annotations

from worker.inspection.fleet import Fleet
from worker.inspection.leases import Lease
from worker.inspection.words import span


def how_it_stops(lease: Lease, fleet: Fleet | None) -> str:
    """When a job that is marked to be aborted ends, in a few words: only a worker that lives stops it."""
    if lease.is_stock:
        return "a stock Arq worker holds it, and stops it if it was told to allow that (allow_abort_jobs)"
    ends = "the next claim ends it, once its lease is over"
    if lease.is_operators:
        return f"an operator's command holds it for the moment; {ends}"
    worker = fleet.find(lease.worker or "") if fleet else None
    if worker is None:
        return f"its worker {lease.worker} has no record any more: {ends}"
    if worker.silent:
        return f"its worker {worker.id} is silent (last beat {span(worker.beat_age_s)} ago): {ends}"
    return "its worker stops it within a second"
