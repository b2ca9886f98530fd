"""One system at work on the common ground: its workers, its producer, and what is asked of both."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from benchmarks.conversation import Conversation
from benchmarks.fleet import BenchmarkFailed, Fleet
from benchmarks.ground import Ground
from benchmarks.systems import System

_LOOK_EVERY_S = 0.002
_LONGEST_STANDSTILL_S = 30.0


@dataclass(frozen=True, slots=True)
class Drained:
    """A backlog that was worked off: every job of it ran, and the system's own books hold none any more."""

    jobs: int
    seconds: float
    cpu_s: float | None
    commands: int
    doubled: int

    @property
    def jobs_per_s(self) -> float:
        """How fast."""
        return self.jobs / self.seconds

    @property
    def cpu_ms_per_job(self) -> float | None:
        """What a job cost the workers."""
        return None if self.cpu_s is None else self.cpu_s * 1000 / self.jobs


class Visit:
    """Drains and drips. Each ends only when every job ran; a job that does not run is a BenchmarkFailed."""

    def __init__(self, system: System, ground: Ground, producer: Conversation, fleet: Fleet) -> None:
        self._system = system
        self._ground = ground
        self._producer = producer
        self._fleet = fleet
        self._next_ingest = 0

    def drain(self, function: str, count: int, size: int = 1) -> Drained:
        """Let the whole fleet go on a backlog of `count` jobs at once, and wait until all are done."""
        first = self._make_room(function, count)
        commands_of_asking = self._commands_of_asking()
        self._fleet.pause()
        try:
            self._producer.ask(do="fill", function=function, first=first, count=count, size=size)
            commands, cpu_s = self._ground.commands(), self._fleet.cpu_s()
            began = time.perf_counter()
        finally:
            self._fleet.resume()
        looks = self._wait(first, count)
        seconds = time.perf_counter() - began
        used_s = self._fleet.cpu_s()
        return Drained(
            count,
            seconds,
            None if used_s is None or cpu_s is None else used_s - cpu_s,
            self._ground.commands() - commands - commands_of_asking - looks,
            self._ground.board.doubled(first, count),
        )

    def drip(self, function: str, count: int, pause_s: float, size: int = 1) -> list[float]:
        """Enqueue jobs one by one with pauses; milliseconds from before each call until the job noted that it ran."""
        first = self._make_room(function, count)
        sent_ns = self._producer.ask(
            do="drip", function=function, first=first, count=count, size=size, pause_s=pause_s
        )["sent_ns"]
        self._wait(first, count)
        return [(self._ground.board.noted_ns(first + place) - sent) / 1e6 for place, sent in enumerate(sent_ns)]

    def _make_room(self, function: str, count: int) -> int:
        self._ground.board.forget_jobs()
        if function != "ingest":
            return 0
        # Equal commands are one job for us, and equal segments one row for PostgreSQL.
        first, self._next_ingest = self._next_ingest, self._next_ingest + count
        return first

    def _wait(self, first: int, count: int) -> int:
        missing, moved_at, looks = count, time.monotonic(), 0
        while True:
            left = self._ground.board.missing(first, count)
            if not left:
                looks += 1
                if not self._system.pending(self._ground.redis):
                    return looks
            if left != missing:
                missing, moved_at = left, time.monotonic()
            elif time.monotonic() - moved_at > _LONGEST_STANDSTILL_S:
                raise BenchmarkFailed(
                    f"{self._system.title}: {missing} of {count} jobs did not run\n{self._fleet.last_words}"
                )
            self._fleet.check()
            time.sleep(_LOOK_EVERY_S)

    def _commands_of_asking(self) -> int:
        before = self._ground.commands()
        return self._ground.commands() - before


def pace(run: Callable[[int], float], *, first: int, target_s: float, most: int) -> int:
    """How many jobs take about `target_s`: runs more and more until the seconds tell. The first run warms up."""
    run(first)
    count = first
    while True:
        seconds = run(count)
        if seconds >= target_s / 4 or count >= most:
            return max(first, min(most, round(count * target_s / seconds)))
        count = min(most, count * 4)
