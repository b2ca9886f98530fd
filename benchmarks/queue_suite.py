"""The queue itself, with jobs that do nothing: how fast, how soon, at what price."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from benchmarks.conversation import Conversation
from benchmarks.figures import Figures, Measure, percentile
from benchmarks.fleet import Fleet, Runnable, environment
from benchmarks.ground import Ground
from benchmarks.peers.protocol import Config
from benchmarks.peers.work import NAP_S
from benchmarks.plan import Plan
from benchmarks.turns import TurnCounter
from benchmarks.visit import Visit, pace

SUITE = "queue"
DRAIN = Measure(SUITE, "drain", "No-op jobs drained", "jobs/s", more_is_better=True)
LATENCY = Measure(SUITE, "latency", "From enqueue to start, jobs now and then", "ms", more_is_better=False)
NAPS = Measure(SUITE, "naps", "Jobs of 50 ms, 10 at once, one process", "jobs/s", more_is_better=True)
ENQUEUE = Measure(SUITE, "enqueue", "Enqueued, one segment a job", "jobs/s", more_is_better=True)
COST = Measure(SUITE, "cost", "What a no-op job costs, one process", "", more_is_better=False)

_FEWEST, _FEWEST_NAPS, _MOST = 100, 20, 60_000
_ENQUEUED_AT_ONCE, _ENQUEUED_ONE_BY_ONE = 2000, 500


@dataclass(slots=True)
class QueueSuite:
    """One visit a system a round. How many jobs a measurement takes is found out in the first round."""

    ground: Ground
    plan: Plan
    figures: Figures
    doubled: dict[str, int]
    _counts: dict[tuple[str, str], int] = field(default_factory=dict)
    _counted: set[str] = field(default_factory=set)

    def steps(self) -> int:
        """How often `advance` is called in one visit."""
        return len(self.plan.processes) + 3

    def visit(self, runnable: Runnable, advance: Callable[[str], None]) -> None:
        """Measure one system once."""
        name = runnable.system.name
        config = Config(
            self.ground.redis_url, str(self.ground.board_path), self.plan.max_jobs, tuned=runnable.system.tuned
        )
        self.ground.clear_redis()
        with Conversation(runnable.command("produce"), environment(config)) as producer:
            producer.listen()
            advance("enqueueing")
            self._enqueue(name, producer)
            self.ground.clear_redis()
            with Fleet(runnable, config, self.ground.board) as fleet:
                visit = Visit(runnable.system, self.ground, producer, fleet)
                for processes in self.plan.processes:
                    advance(f"{processes} processes" if processes > 1 else "1 process")
                    fleet.grow(processes)
                    self._drain(name, visit, processes)
                    if processes == 1:
                        advance("latency")
                        self._latency(name, visit)
            advance("jobs of 50 ms")
            with Fleet(runnable, replace(config, max_jobs=self.plan.nap_jobs), self.ground.board) as fleet:
                fleet.grow(1)
                self._naps(name, Visit(runnable.system, self.ground, producer, fleet))
            if name not in self._counted:  # counts are the same in every round
                self._counted.add(name)
                self._round_trips(runnable, config, producer)

    def _enqueue(self, name: str, producer: Conversation) -> None:
        for way, count, case in (
            ("each", _ENQUEUED_ONE_BY_ONE, "one by one"),
            ("bulk", _ENQUEUED_AT_ONCE, "many"),
        ):
            producer.ask(do=way, function="ingest", first=0, count=count // 10)
            answer = producer.ask(do=way, function="ingest", first=count, count=count)
            self.figures.add(ENQUEUE, case, name, count / answer["seconds"])

    def _drain(self, name: str, visit: Visit, processes: int) -> None:
        case = f"{processes} process{'es' if processes > 1 else ''}"
        count = self._paced(name, case, lambda count: visit.drain("noop", count).seconds, _FEWEST)
        drained = visit.drain("noop", count)
        self.doubled[name] = self.doubled.get(name, 0) + drained.doubled
        self.figures.add(DRAIN, case, name, drained.jobs_per_s)
        if processes == 1:
            self.figures.add(COST, "Redis commands", name, drained.commands / count)
            self.figures.add(COST, "CPU ms", name, drained.cpu_ms_per_job)

    def _latency(self, name: str, visit: Visit) -> None:
        for per_s in self.plan.drips_per_s:
            waits_ms = visit.drip("noop", round(self.plan.drip_s * per_s), 1 / per_s)
            self.figures.add(LATENCY, f"p50 at {per_s}/s", name, percentile(waits_ms, 0.5))
            self.figures.add(LATENCY, f"p99 at {per_s}/s", name, percentile(waits_ms, 0.99))

    def _naps(self, name: str, visit: Visit) -> None:
        count = self._paced(name, "naps", lambda count: visit.drain("nap", count).seconds, _FEWEST_NAPS)
        ideal = self.plan.nap_jobs / NAP_S
        self.figures.add(NAPS, f"of {ideal:g} that are possible", name, visit.drain("nap", count).jobs_per_s)

    def _round_trips(self, runnable: Runnable, config: Config, producer: Conversation) -> None:
        name = runnable.system.name
        count = min(self._counts[name, "1 process"], 2000)
        with (
            TurnCounter(self.ground.redis_url) as counter,
            Fleet(runnable, replace(config, redis_url=counter.url), self.ground.board) as fleet,
        ):
            fleet.grow(1)
            visit = Visit(runnable.system, self.ground, producer, fleet)
            visit.drain("noop", _FEWEST)
            before = counter.turns
            visit.drain("noop", count)
            self.figures.add(COST, "round trips", name, (counter.turns - before) / count)

    def _paced(self, name: str, case: str, run: Callable[[int], float], fewest: int) -> int:
        if (name, case) in self._counts:
            run(fewest)  # to warm up
        else:
            self._counts[name, case] = pace(run, first=fewest, target_s=self.plan.target_s, most=_MOST)
        return self._counts[name, case]


def measures() -> Sequence[Measure]:
    """In the order in which a reader wants them."""
    return DRAIN, LATENCY, NAPS, ENQUEUE, COST
