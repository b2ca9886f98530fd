"""What the workers saw, line by line, in a file that outlives them.

A line is one O_APPEND write, so a process killed with SIGKILL has either written it or not. The points of a job, in
order: `started` (its claim reached the executor), `attempt`, `committing`, `committed`, `ended`. A job that comes too
early has `parking` in the place of the two in the middle.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from pathlib import Path

Point = Literal["born", "started", "attempt", "committing", "committed", "parking", "ended"]
NOBODY = "-"


@dataclass(frozen=True, slots=True)
class Line:
    """Something that happened to a job in a process; `at_s` is seconds of the Unix epoch."""

    at_s: float
    pid: int
    point: str
    job_id: str
    detail: str = ""


class Witness:
    """Writes lines."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, point: Point, job_id: str = NOBODY, detail: str = "") -> None:
        """Append one line."""
        os.write(self._file, f"{time.time():.6f} {os.getpid()} {point} {job_id} {detail}\n".encode())


@dataclass
class Account:
    """Everything written so far, read on as the file grows."""

    path: Path
    lines: list[Line] = field(default_factory=list)
    _position: int = 0

    def read_on(self) -> list[Line]:
        """Return all lines there are now."""
        if self.path.exists():
            with self.path.open("rb") as file:
                file.seek(self._position)
                whole, newline, _ = file.read().rpartition(b"\n")
            self._position += len(whole) + len(newline)
            self.lines += [_line(raw) for raw in whole.decode().splitlines()]
        return self.lines

    def pids(self) -> list[int]:
        """Return the workers ever born, the oldest first."""
        return [line.pid for line in self.read_on() if line.point == "born"]

    def passed(self, point: Point, job_id: str) -> list[int]:
        """Return which processes brought the job to this point, in order."""
        return [line.pid for line in self.read_on() if (line.point, line.job_id) == (point, job_id)]


def _line(raw: str) -> Line:
    at_s, pid, point, job_id, detail = raw.split(" ", 4)
    return Line(float(at_s), int(pid), point, job_id, detail)
