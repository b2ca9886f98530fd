"""The worker processes of one system: started, held back, let go, and gone with us however we end."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from benchmarks.peers.board import Board
from benchmarks.peers.protocol import Config
from benchmarks.systems import System
from worker.embedded.lifeline import Lifeline
from worker.embedded.privileges import Identity

ROOT = Path(__file__).parents[1]
_START_TIMEOUT_S = 60.0
_END_TIMEOUT_S = 10.0
_LAST_LINES = 15


class BenchmarkFailed(RuntimeError):
    """A system did not do what was asked of it; what it was and why."""


@dataclass(frozen=True, slots=True)
class Runnable:
    """A system, and the interpreter that can run it."""

    system: System
    python: str

    def command(self, role: str) -> list[str]:
        """What starts a process of this system: "work" or "produce"."""
        return [self.python, "-m", f"benchmarks.peers.{self.system.module}", role]


class Fleet:
    """Worker processes that grow in number. Held back by SIGSTOP, they find their whole backlog when let go."""

    def __init__(self, runnable: Runnable, config: Config, board: Board) -> None:
        self._runnable = runnable
        self._config = config
        self._board = board
        self._homes: list[tempfile.TemporaryDirectory[str]] = []
        self._lifelines: list[Lifeline] = []

    @property
    def title(self) -> str:
        """Whose fleet it is."""
        return self._runnable.system.title

    @property
    def size(self) -> int:
        """How many processes there are."""
        return len(self._lifelines)

    def grow(self, size: int) -> None:
        """Start processes until there are `size`, and wait until all are ready."""
        while self.size < size:
            home = tempfile.TemporaryDirectory(prefix="noteflow-benchmark-", ignore_cleanup_errors=True)
            self._homes.append(home)
            config = replace(self._config, number=self.size)
            self._lifelines.append(
                Lifeline(
                    self._runnable.command("work"),
                    identity=Identity(),
                    stop_signal=signal.SIGKILL,
                    log=Path(home.name) / "log",
                    home=Path(home.name),
                    environment=environment(config),
                )
            )
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not self._board.ready(size):
            self.check()
            if time.monotonic() > deadline:
                raise BenchmarkFailed(f"{self.title} did not start within {_START_TIMEOUT_S:g} s\n{self.last_words}")
            time.sleep(0.01)

    def pause(self) -> None:
        """Hold every process."""
        self._send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let every process go on."""
        self._send(signal.SIGCONT)

    def check(self) -> None:
        """Raise BenchmarkFailed if a process ended."""
        for number, lifeline in enumerate(self._lifelines):
            if not lifeline.running:
                raise BenchmarkFailed(f"{self.title}'s worker {number} ended by itself\n{self.last_words}")

    def cpu_s(self) -> float | None:
        """The CPU seconds all processes have used; None where the system cannot tell, which is everywhere but Linux."""
        if sys.platform != "linux":
            return None
        # The clock of another process, as clock_getcpuclockid(3) makes it from its id.
        return sum(time.clock_gettime(~lifeline.pid << 3 | 2) for lifeline in self._lifelines)

    @property
    def last_words(self) -> str:
        """The ends of the processes' logs."""
        logs = [(Path(home.name) / "log").read_text(errors="replace").splitlines() for home in self._homes]
        return "\n".join(line for log in logs for line in log[-_LAST_LINES:])

    def close(self) -> None:
        """End every process and wait for it. What it was doing does not matter any more."""
        self._send(signal.SIGKILL)
        while self._lifelines:
            self._lifelines.pop().wait(_END_TIMEOUT_S)
        while self._homes:
            self._homes.pop().cleanup()
        self._board.forget_workers()

    def _send(self, number: int) -> None:
        for lifeline in self._lifelines:
            lifeline.send(number)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def environment(config: Config) -> dict[str, str]:
    """The environment of a benchmarked process."""
    return {**os.environ, "PYTHONPATH": str(ROOT), **config.environment()}
