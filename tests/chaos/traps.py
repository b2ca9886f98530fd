"""A signal that a worker meets at an exact point of a job: it sends it to itself, so nothing comes in between.

A trap is a file. Whoever renames it has sprung it, so each catches one worker once.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.chaos.witness import Point


@dataclass(frozen=True)
class Trap:
    """Waits at a point of any job."""

    path: Path
    number: signal.Signals

    @classmethod
    def set(cls, folder: Path, point: Point, number: signal.Signals) -> Trap:
        """Lay a trap; there may be one a point at a time."""
        trap = cls(folder / f"trap-{point}", number)
        draft = folder / f"draft-{point}"
        draft.write_text(str(int(number)))
        draft.rename(trap.path)
        return trap

    @property
    def caught(self) -> int | None:
        """The process that met it, once the signal has had its effect."""
        sprung = next(self.path.parent.glob(f"{self.path.name}.*"), None)
        if sprung is None:
            return None
        pid = int(sprung.suffix[1:])
        # Whoever resumed it before it has stopped would leave it stopped for ever.
        return pid if self.number != signal.SIGSTOP or is_stopped(pid) else None

    def disarm(self) -> bool:
        """Let it catch nobody from now on; say whether it has."""
        self.path.unlink(missing_ok=True)
        return any(self.path.parent.glob(f"{self.path.name}.*"))

    def clear(self) -> None:
        """Take it away."""
        for path in self.path.parent.glob(f"{self.path.name}*"):
            path.unlink(missing_ok=True)


def step_into(folder: Path, point: Point) -> None:
    """Spring the trap of this point, if there is one."""
    trap = folder / f"trap-{point}"
    with suppress(FileNotFoundError):
        number = int(trap.read_text())
        trap.rename(trap.with_name(f"{trap.name}.{os.getpid()}"))
        os.kill(os.getpid(), number)


def is_stopped(pid: int) -> bool:
    """Whether a process is stopped by a signal; one that is gone counts, as nothing more will come of it."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "TtZX"
    except OSError:
        return True
