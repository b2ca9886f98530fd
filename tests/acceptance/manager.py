"""A process manager with its workers, as a person would start it, and gone without a trace at the end."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.processes import alive
from tests.waiting import eventually_sync

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

ROOT = Path(__file__).parents[2]
PATIENCE_S = 60.0
"""For what takes a second or two on an idle machine."""

# Small budgets: a job whose worker was killed is free again when its lease is over, under stock Arq when its time is.
QUICK = {
    "DATABASE_LOCK_TIMEOUT_S": "1",
    "DATABASE_COMMAND_TIMEOUT_S": "3",
    "DATABASE_POOL_TIMEOUT_S": "2",
    "RETRY_BUDGET_S": "3",
    "JOB_TIMEOUT_S": "9",
    "LEASE_S": "5",
}


@dataclass(frozen=True)
class Manager:
    """A running supervisord or honcho. Its log is what it and its workers said."""

    process: subprocess.Popen[bytes]
    log: Path

    @property
    def said(self) -> str:
        """Everything so far."""
        return self.log.read_text(errors="replace")

    def actions(self, action: str) -> list[dict[str, Any]]:
        """The workers' log lines of one action."""
        lines = [json.loads(found) for found in re.findall(r"\{.*\}", self.said) if f'"{action}"' in found]
        return [line for line in lines if line["action"] == action]

    def started_workers(self, number: int) -> list[int]:
        """The process ids of all workers ever started, once there are so many."""
        return [line["pid"] for line in eventually_sync(lambda: self._started(number), within_s=PATIENCE_S)]

    def _started(self, number: int) -> list[dict[str, Any]]:
        assert self.process.poll() is None, "the manager has ended"
        lines = self.actions("worker.started")
        return lines if len(lines) >= number else []

    def stop(self, number: signal.Signals) -> int:
        """Send a signal and return the exit code."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def running(command: Sequence[str | Path], environment: Mapping[str, str], log: Path) -> Iterator[Manager]:
    """Run a manager from the project's folder; end whatever it started when the block ends."""
    with log.open("ab") as output:  # supervisord opens its standard output a second time for the workers' lines
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, cwd=ROOT, env=environment
        )
    manager = Manager(process, log)
    try:
        yield manager
    except BaseException:
        print(manager.said[-8000:])
        raise
    finally:
        process.kill()
        process.wait()
        for line in manager.actions("worker.started"):
            _end(line["pid"])


def environment(database_url: str, redis_url: str, **more: str) -> dict[str, str]:
    """The caller's environment, from which the workers take their settings."""
    inherited = {name: os.environ[name] for name in ("HOME", "LANG", "TMPDIR") if name in os.environ}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    return {**inherited, "PATH": path, "DATABASE_URL": database_url, "REDIS_URL": redis_url, **QUICK, **more}


def tool(name: str) -> str:
    """A command of the virtual environment the tests run in."""
    return str(Path(sys.executable).with_name(name))


def _end(pid: int) -> None:
    if alive(pid):
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
