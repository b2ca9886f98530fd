"""Where jobs note that they ran, at the price of two writes into memory.

A counter in Redis would cost a round trip a job, as much as the fastest systems spend on the job itself.
"""

from __future__ import annotations

import mmap
import time
from pathlib import Path
from typing import Self

CAPACITY = 131_072
_WORKERS = 64
_RUNS = _WORKERS
_TIMES = _RUNS + CAPACITY
_SIZE = _TIMES + 8 * CAPACITY


class Board:
    """A file that processes share as memory: for each job how often it ran, and when last, by the machine's clock."""

    def __init__(self, path: str | Path) -> None:
        with Path(path).open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), _SIZE)
        self._times = memoryview(self._memory)[_TIMES:].cast("Q")

    @classmethod
    def create(cls, path: Path) -> Self:
        """A board at `path` with nothing on it."""
        path.write_bytes(bytes(_SIZE))
        return cls(path)

    def note(self, index: int) -> None:
        """Say that job `index` ran, now."""
        self._times[index] = time.monotonic_ns()
        self._memory[_RUNS + index] += 1

    def say_ready(self, worker: int) -> None:
        """Say that worker number `worker` has started."""
        self._memory[worker] = 1

    def ready(self, workers: int) -> bool:
        """Whether the first `workers` workers have started."""
        return not self._memory[:workers].count(0)

    def missing(self, first: int, count: int) -> int:
        """How many of `count` jobs from `first` on have not run."""
        return self._runs(first, count).count(0)

    def doubled(self, first: int, count: int) -> int:
        """How many of `count` jobs from `first` on ran more than once."""
        runs = self._runs(first, count)
        return count - runs.count(0) - runs.count(1)

    def noted_ns(self, index: int) -> int:
        """When job `index` ran, on the clock of `time.monotonic_ns`."""
        return self._times[index]

    def forget_jobs(self) -> None:
        """Begin anew; workers stay ready."""
        self._memory[_RUNS:] = bytes(_SIZE - _RUNS)

    def forget_workers(self) -> None:
        """No worker is ready any more."""
        self._memory[:_WORKERS] = bytes(_WORKERS)

    def _runs(self, first: int, count: int) -> bytes:
        if first + count > CAPACITY:
            raise ValueError(f"the board has room for {CAPACITY} jobs")
        return self._memory[_RUNS + first : _RUNS + first + count]
