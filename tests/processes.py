"""What the tests need to know about processes."""

from __future__ import annotations

import os
from pathlib import Path


def alive(pid: int) -> bool:
    """Whether a process is there and is not a zombie that nobody fetched."""
    stat = Path(f"/proc/{pid}/stat")
    try:
        os.kill(pid, 0)
        return not stat.parent.parent.joinpath("self").exists() or _fields(stat)[0] not in "ZX"
    except OSError:
        return False


def parent_of(pid: int) -> int:
    """Return the process's parent; Linux only."""
    return int(_fields(Path(f"/proc/{pid}/stat"))[1])


def _fields(stat: Path) -> list[str]:
    return stat.read_text().rpartition(")")[2].split()
