"""Segments on their way into PostgreSQL: through every queue, and without any."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks.conversation import Conversation
from benchmarks.figures import Figures, Measure, percentile
from benchmarks.fleet import ROOT, BenchmarkFailed, Fleet, Runnable, environment
from benchmarks.ground import Ground
from benchmarks.loops import Loop
from benchmarks.peers.loops import URL_VARIABLE
from benchmarks.peers.protocol import Config
from benchmarks.plan import Plan
from benchmarks.visit import Visit, pace

SUITE = "ingest"
JOBS = Measure(SUITE, "jobs", "Ingest jobs, by segments a job", "jobs/s", more_is_better=True)
SEGMENTS = Measure(SUITE, "segments", "Segments stored, by segments a job", "segments/s", more_is_better=True)
CPU = Measure(SUITE, "cpu", "CPU of the worker process, or of the loop", "ms a job", more_is_better=False)
LATENCY = Measure(SUITE, "latency", "From enqueue to commit, jobs now and then, p50", "ms", more_is_better=False)
LATENCY_P99 = Measure(SUITE, "latency-p99", "From enqueue to commit, p99", "ms", more_is_better=False)

_FEWEST, _FEWEST_OF_LARGE = 60, 20  # enough for every connection to have been used
_MOST = {1: 20_000, 50: 4_000}
_MOST_OF_LARGE = 400
_LARGE = 100


@dataclass(slots=True)
class IngestSuite:
    """One visit a system and a loop a round. What is stored is counted in PostgreSQL after every measurement."""

    ground: Ground
    plan: Plan
    figures: Figures
    doubled: dict[str, int]
    _counts: dict[tuple[str, int], int] = field(default_factory=dict)

    def steps(self) -> int:
        """How often `advance` is called in one visit."""
        return len(self.plan.segments)

    def visit(self, runnable: Runnable, advance: Callable[[str], None]) -> None:
        """Measure one system once: one worker process."""
        name = runnable.system.name
        config = Config(
            self.ground.redis_url,
            str(self.ground.board_path),
            self.plan.ingest_jobs,
            tuned=runnable.system.tuned,
            database_url=self.ground.database_url,
        )
        for size in self.plan.segments:
            advance(_case(size))
            self.ground.clear_redis()
            self.ground.clear_database()
            with (
                Conversation(runnable.command("produce"), environment(config)) as producer,
                Fleet(runnable, config, self.ground.board) as fleet,
            ):
                producer.listen()
                fleet.grow(1)
                self._ingest(name, Visit(runnable.system, self.ground, producer, fleet), size)

    def visit_loop(self, loop: Loop, advance: Callable[[str], None]) -> None:
        """Measure one loop once."""
        variables = {**os.environ, "PYTHONPATH": str(ROOT), URL_VARIABLE: self.ground.database_url}
        for size in self.plan.segments:
            advance(_case(size))
            self.ground.clear_database()
            with Conversation(loop.command(self.plan.ingest_jobs), variables) as conversation:
                self._loop(loop, conversation, size)

    def _loop(self, loop: Loop, conversation: Conversation, size: int) -> None:
        asked = 0

        def run(count: int) -> dict[str, float]:
            nonlocal asked
            first, asked = asked, asked + count
            return conversation.ask(first=first, count=count, size=size)

        count = self._paced(loop.name, size, lambda count: run(count)["seconds"])
        answer = run(count)
        self._check_stored(loop.title, asked * size)
        self._note(loop.name, size, count / answer["seconds"], answer["cpu_s"] * 1000 / count)

    def _ingest(self, name: str, visit: Visit, size: int) -> None:
        asked = 0

        def drained(count: int) -> float:
            nonlocal asked
            asked += count
            return visit.drain("ingest", count, size).seconds

        count = self._paced(name, size, drained)
        drain = visit.drain("ingest", count, size)
        drips, pause_s = self.plan.ingest_drip(size)
        waits_ms = visit.drip("ingest", drips, pause_s, size)
        self._check_stored(name, (asked + count + drips) * size)
        self.doubled[name] = self.doubled.get(name, 0) + drain.doubled
        self._note(name, size, drain.jobs_per_s, drain.cpu_ms_per_job)
        self.figures.add(LATENCY, _case(size), name, percentile(waits_ms, 0.5))
        self.figures.add(LATENCY_P99, _case(size), name, percentile(waits_ms, 0.99))

    def _paced(self, name: str, size: int, run: Callable[[int], float]) -> int:
        fewest = _FEWEST if size < _LARGE else _FEWEST_OF_LARGE
        if (name, size) in self._counts:
            run(fewest)  # to warm up
        else:
            most = _MOST.get(size, _MOST_OF_LARGE)
            self._counts[name, size] = pace(run, first=fewest, target_s=self.plan.target_s, most=most)
        return self._counts[name, size]

    def _check_stored(self, who: str, expected: int) -> None:
        stored = self.ground.stored_segments()
        if stored != expected:
            raise BenchmarkFailed(f"{who}: {stored} segments are stored, not {expected}")

    def _note(self, name: str, size: int, jobs_per_s: float, cpu_ms: float | None) -> None:
        self.figures.add(JOBS, _case(size), name, jobs_per_s)
        self.figures.add(SEGMENTS, _case(size), name, jobs_per_s * size)
        self.figures.add(CPU, _case(size), name, cpu_ms)


def measures() -> Sequence[Measure]:
    """In the order in which a reader wants them."""
    return JOBS, SEGMENTS, CPU, LATENCY, LATENCY_P99


def _case(size: int) -> str:
    return f"{size} a job"
