"""Which pause keeps a job from being claimed."""

from __future__ import annotations

from worker.inspection.fleet import Fleet
from worker.inspection.job import JobFacts
from worker.inspection.pauses import KIND, QUEUE, Pause


def pause_on(facts: JobFacts, fleet: Fleet | None, queue_name: str) -> Pause | None:
    """The pause of the queue that the job stands in, or will, or of its kind; `queue_name` if no server says which."""
    if fleet is None:
        return None
    place = facts.footprint.place if facts.footprint else None
    kept = facts.outbox or next(iter(facts.letters), None)
    queue = place.queue if place else kept.queue if kept else queue_name
    kind = facts.envelope.function if facts.envelope else kept.kind if kept else None
    return fleet.pause_of(QUEUE, queue) or (fleet.pause_of(KIND, kind) if kind else None)
