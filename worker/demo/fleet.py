"""Worker processes, as an operator starts them: `python -m worker run`."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from worker.embedded.lifeline import Lifeline
from worker.embedded.privileges import Identity

STOP_TIMEOUT_S = 10.0
_LAST_LINES = 15


class FleetError(RuntimeError):
    """A worker ended that should have gone on; the message ends with its log's tail."""


@dataclass(frozen=True, slots=True)
class Worker:
    """One worker process. `number` counts the fleet's workers from 1 and is never given twice."""

    number: int
    log: Path
    lifeline: Lifeline

    @property
    def pid(self) -> int:
        """The process id of the worker itself."""
        return self.lifeline.pid

    @property
    def is_ready(self) -> bool:
        """Whether it has begun to look for jobs."""
        return b'"worker.started"' in self.log.read_bytes()

    @property
    def last_words(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-_LAST_LINES:]) or "(empty)"


class Fleet:
    """Starts workers, kills them, and leaves none behind, however its block or this process ends."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._environment = {**os.environ, **environment, "LOG_FORMAT": "json"}
        self._workers: dict[int, Worker] = {}
        self._homes: list[Path] = []

    @property
    def workers(self) -> tuple[Worker, ...]:
        """Those that should be at work."""
        return tuple(self._workers.values())

    def hire(self) -> Worker:
        """Start one more worker."""
        # One directory each: should this process be killed, a worker's guard removes the worker's.
        home = Path(tempfile.mkdtemp(prefix="noteflow-worker-"))
        self._homes.append(home)
        log = home / "log"
        lifeline = Lifeline(
            [sys.executable, "-m", "worker", "run"],
            identity=Identity(),
            stop_signal=signal.SIGTERM,
            log=log,
            home=home,
            environment=self._environment,
        )
        worker = Worker(len(self._homes), log, lifeline)
        self._workers[worker.number] = worker
        return worker

    def wait_until_ready(self, longest_s: float) -> None:
        """Return when every worker looks for jobs. Raises FleetError when one ends, or the time does."""
        deadline = time.monotonic() + longest_s
        while not all(worker.is_ready for worker in self.workers):
            self.check()
            if time.monotonic() > deadline:
                raise FleetError(f"the workers were not ready within {longest_s:g} s")
            time.sleep(0.02)

    def kill(self, worker: Worker) -> None:
        """End a worker with SIGKILL, in the middle of whatever it does, and wait until it is gone."""
        del self._workers[worker.number]  # first, or `check` in another task would take it for an accident
        worker.lifeline.send(signal.SIGKILL)
        worker.lifeline.wait(STOP_TIMEOUT_S)

    def check(self) -> None:
        """Raise FleetError if a worker ended by itself."""
        for worker in self._workers.values():
            if not worker.lifeline.running:
                raise FleetError(f"worker {worker.number} ended by itself. The end of its log:\n{worker.last_words}")

    def dismiss(self) -> None:
        """Stop every worker in good order: all are told first, then waited for."""
        for worker in self._workers.values():
            worker.lifeline.send(signal.SIGTERM)
        while self._workers:
            _, worker = self._workers.popitem()
            try:
                worker.lifeline.wait(STOP_TIMEOUT_S)
            except TimeoutError:
                worker.lifeline.end(signal.SIGKILL, STOP_TIMEOUT_S)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.dismiss()
        finally:
            for home in self._homes:
                shutil.rmtree(home, ignore_errors=True)
