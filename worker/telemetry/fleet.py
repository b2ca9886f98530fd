"""How the whole stands, as any worker can tell it: queues, fleet, outbox, dead letters.

Read when somebody asks, at a price that does not grow with the queue: counts, no scans, and each count has a limit.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from jobs import handlers
from noteflow.infrastructure.queue import keys
from worker.inspection.depths import QueueDepth, queue_depths
from worker.inspection.fleet import Fleet, read_fleet
from worker.inspection.pauses import KIND
from worker.inspection.records import StoredCounts, read_counts, read_meetings
from worker.inspection.sources import Sources
from worker.telemetry.bounds import EVENTS, bounded_queues, by_known, counts_in

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class FleetState:
    """One look at everything. What could not be read is None or empty: also what PostgreSQL knows, while it is away."""

    depths: list[QueueDepth]
    fleet: Fleet | None
    counts: StoredCounts | None
    letter_events: Mapping[str, int]
    enqueued: Mapping[str, int]
    stalest_meeting_s: float | None


async def read_fleet_state(sources: Sources) -> FleetState:
    """Look. A handful of round trips to Redis, two bounded queries to PostgreSQL. Raises RedisAway."""
    now_ms = await sources.now_ms()
    fleet = await _part(read_fleet(sources, now_ms), None)
    counts = await _part(read_counts(sources), None)
    meetings = await _part(read_meetings(sources), None)
    stored = {*counts.parked, *counts.dead} if counts else set()
    known = fleet or Fleet([], 0, [], None, [])
    queues = bounded_queues(sources.queue_name, stored, known)
    return FleetState(
        depths=await _part(queue_depths(sources, queues, known, counts, now_ms), []),
        fleet=fleet,
        counts=counts,
        letter_events=await _part(counts_in(sources.redis, keys.DEAD_COUNTS, EVENTS), {}),
        enqueued=await _part(counts_in(sources.redis, keys.ENQUEUED, handlers()), {}),
        stalest_meeting_s=meetings.stalest.age_s if meetings and meetings.stalest else None,
    )


async def _part(reading: Awaitable[T], otherwise: T) -> T:
    """One part of the whole. What keeps it from being read costs nothing but it."""
    try:
        return await reading
    except Exception:
        return otherwise


class FleetMetrics(Collector):
    """Tells what it was last shown. What is not known now is left out, so that nothing stale looks fresh."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.state: FleetState | None = None
        registry.register(self)

    def describe(self) -> Iterable[Metric]:
        """The names, without asking anybody."""
        return _Families().all()

    def collect(self) -> Iterable[Metric]:
        """The families, with the samples of the last state."""
        families = _Families()
        if self.state is not None:
            families.show(self.state)
        return families.all()


class _Families:
    def __init__(self) -> None:
        def gauge(name: str, what: str, *labels: str) -> GaugeMetricFamily:
            return GaugeMetricFamily(f"noteflow_{name}", what, labels=labels)

        def counter(name: str, what: str, *labels: str) -> CounterMetricFamily:
            return CounterMetricFamily(f"noteflow_{name}", what, labels=labels)

        self.jobs = gauge("queue_jobs", "Jobs in Redis: due, deferred (not due yet) or running.", "queue", "state")
        self.oldest = gauge(
            "queue_oldest_due_age_seconds", "For how long the first due job has been due; 0 if none is.", "queue"
        )
        self.paused = gauge("queue_paused", "1 while an operator has paused the queue.", "queue")
        self.kinds_paused = gauge("kind_paused", "1 while an operator has paused the kind.", "kind")
        self.parked = gauge("parked_jobs", "Jobs that wait in PostgreSQL for what must come first.", "queue")
        self.behind = gauge(
            "parked_behind_dead_letters", "Parked jobs that wait for a dead letter to be replayed or dropped."
        )
        self.letters = gauge("dead_letters", "Jobs that will not be tried again by themselves.", "queue")
        self.events = counter(
            "dead_letter_events",
            "Dead letters that Redis saw buried, evicted, replayed, dropped or moved to PostgreSQL.",
            "event",
        )
        self.outbox = gauge("outbox_rows", "Rows of the outbox: waiting for the relay, or dispatched.", "state")
        self.workers = gauge("workers", "Worker processes: ready, unready, or silent for more than a beat.", "state")
        self.enqueued = counter(
            "jobs_enqueued",
            "Jobs put into Redis by JobClient and the relay since it last lost data; plain Arq clients count none.",
            "kind",
        )
        self.stalest = gauge(
            "stalest_meeting_age_seconds", "For how long the open meeting that is furthest behind got no segments."
        )

    def all(self) -> Iterator[Metric]:
        yield from (
            self.jobs, self.oldest, self.paused, self.kinds_paused, self.parked, self.behind, self.letters, self.events,
            self.outbox, self.workers, self.enqueued, self.stalest,
        )  # fmt: skip

    def show(self, state: FleetState) -> None:
        for depth in state.depths:
            for name, number in (("due", depth.due), ("deferred", depth.deferred), ("running", depth.running)):
                if number is not None:  # a queue's key may hold another type
                    self.jobs.add_metric([depth.queue, name], number)
            self.oldest.add_metric([depth.queue], depth.oldest_due_s or 0)
            self.paused.add_metric([depth.queue], depth.paused is not None)
            if depth.parked is not None:
                self.parked.add_metric([depth.queue], depth.parked)
            if depth.dead is not None:
                self.letters.add_metric([depth.queue], depth.dead)
        never = dict.fromkeys(EVENTS, 0)
        for event, number in (never | by_known(state.letter_events, EVENTS)).items():
            self.events.add_metric([event], number)
        if state.counts is not None:
            self.behind.add_metric([], state.counts.behind)
            self.outbox.add_metric(["waiting"], state.counts.outbox_waiting)
            self.outbox.add_metric(["dispatched"], state.counts.outbox_dispatched)
        if state.fleet is not None:
            self._show_fleet(state.fleet)
        for kind, number in by_known(state.enqueued, handlers()).items():
            self.enqueued.add_metric([kind], number)
        if state.stalest_meeting_s is not None:
            self.stalest.add_metric([], state.stalest_meeting_s)

    def _show_fleet(self, fleet: Fleet) -> None:
        paused = {pause.name: 1 for pause in fleet.pauses if pause.scope == KIND}
        for kind, number in by_known(paused, handlers()).items():
            self.kinds_paused.add_metric([kind], min(number, 1))
        ready = sum(worker.ready for worker in fleet.alive)
        alive, known = len(fleet.alive), len(fleet.workers)
        for name, number in (("ready", ready), ("unready", alive - ready), ("silent", known - alive)):
            self.workers.add_metric([name], number)
