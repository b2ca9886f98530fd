"""Worker processes, as a supervisor would start them, and what they said."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tests.acceptance.manager import PATIENCE_S, ROOT, environment, tool
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path

Command = tuple[str, ...]
OURS: Command = (sys.executable, "-m", "worker", "run")
STOCK: Command = (tool("arq"), "worker.WorkerSettings")
ODD: dict[Command, Command] = {
    OURS: (sys.executable, "-m", "tests.acceptance.odd_worker", "run"),
    STOCK: (tool("arq"), "tests.acceptance.odd_worker.WorkerSettings"),
}
"""The same ways to start a worker, of the program whose handlers misbehave when they are told to."""


@dataclass(frozen=True)
class WorkerProcess:
    """One worker. Its log is everything it wrote, to either stream."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def said(self) -> str:
        """Everything so far."""
        return self.log.read_text(errors="replace")

    @property
    def is_ready(self) -> bool:
        """Whether it has begun to look for jobs; AssertionError if it ended instead."""
        assert self.process.poll() is None, f"ended with {self.process.returncode}:\n{self.said[-4000:]}"
        return "worker.ready" in self.said

    def lines(self, action: str = "") -> list[dict[str, Any]]:
        """Its log lines, all or those of one action, oldest first; a half-written one is left out."""
        whole = self.said.rpartition("\n")[0].splitlines()
        lines = [json.loads(line) for line in whole if line.startswith("{")]
        return [line for line in lines if action in ("", line["action"])]

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def worker_processes(
    command: Sequence[str], number: int, database_url: str, redis_url: str, folder: Path, settings: Mapping[str, str]
) -> Iterator[list[WorkerProcess]]:
    """Run so many workers, ended by their pids when the block ends."""
    workers: list[WorkerProcess] = []
    told = environment(database_url, redis_url, **settings)
    try:
        for _ in range(number):
            log = folder / f"worker-{len(list(folder.glob('worker-*')))}.log"
            with log.open("wb") as output:
                process = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=told
                )
            workers.append(WorkerProcess(process, log))
        yield workers
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.wait()
            print(f"--- {worker.log.name}, pid {worker.pid}\n{worker.said[-3000:]}")


async def all_ready(workers: Sequence[WorkerProcess]) -> None:
    """Return when all of them look for jobs."""
    await eventually(lambda: all(worker.is_ready for worker in workers), within_s=PATIENCE_S, every_s=0.05)


def moment(line: dict[str, Any]) -> float:
    """When a log line was written, in seconds of the Unix epoch."""
    return datetime.fromisoformat(line["timestamp"]).timestamp()
