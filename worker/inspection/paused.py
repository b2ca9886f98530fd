"""Which pause keeps a job from being claimed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from noteflow.infrastructure.queue import keys
from worker.inspection.fleet import MOST_PAUSES, Fleet
from worker.inspection.job import JobFacts
from worker.inspection.letters import Letter
from worker.inspection.pauses import KIND, QUEUE, Pause, read_pauses
from worker.inspection.sources import RedisAway, Sources


def pause_on(facts: JobFacts, fleet: Fleet | None, queue_name: str) -> Pause | None:
    """The pause of the queue that the job stands in, or will, or of its kind; `queue_name` if no server says which."""
    if fleet is None:
        return None
    place = facts.footprint.place if facts.footprint else None
    kept = facts.outbox or next(iter(facts.letters), None)
    queue = place.queue if place else kept.queue if kept else queue_name
    kind = facts.envelope.function if facts.envelope else kept.kind if kept else None
    return _first(fleet.pauses, queue, kind)


def pause_on_letter(pauses: Sequence[Pause], letter: Letter) -> Pause | None:
    """The same of a job that is replayed from a letter."""
    return _first(pauses, letter.queue, letter.kind)


async def pauses_now(sources: Sources) -> list[Pause]:
    """All pauses, none where Redis is away."""
    try:
        return read_pauses(sources.gaps.page(keys.PAUSED, await sources.asked(_pauses(sources))))
    except RedisAway:
        return []


async def _pauses(sources: Sources) -> Any:
    return await sources.redis.hscan(keys.PAUSED, 0, count=MOST_PAUSES)


def _first(pauses: Sequence[Pause], queue: str, kind: str | None) -> Pause | None:
    of = {(pause.scope, pause.name): pause for pause in pauses}
    return of.get((QUEUE, queue)) or (of.get((KIND, kind)) if kind else None)
