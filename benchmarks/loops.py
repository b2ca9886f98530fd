"""Ingestion without a queue: what a single process does in a loop."""

from __future__ import annotations

import sys
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Loop:
    """One way to store, one batch after another or as many at once as a worker runs."""

    way: str
    title: str
    side_by_side: bool

    @property
    def name(self) -> str:
        """As it is called in the results."""
        return f"loop-{self.way}-{'side-by-side' if self.side_by_side else 'one-by-one'}"

    def command(self, at_once: int) -> list[str]:
        """What starts the process; `at_once` is for those that go side by side."""
        return [sys.executable, "-m", "benchmarks.peers.loops", self.way, str(at_once if self.side_by_side else 1)]


NAIVE = Loop("naive", "naive ORM, one by one", side_by_side=False)


def loops() -> tuple[Loop, ...]:
    """Every loop."""
    return (
        NAIVE,
        Loop("driver", "bare asyncpg, one by one", side_by_side=False),
        Loop("unit", "our unit of work, one by one", side_by_side=False),
        Loop("naive", "naive ORM, side by side", side_by_side=True),
        Loop("driver", "bare asyncpg, side by side", side_by_side=True),
        Loop("unit", "our unit of work, side by side", side_by_side=True),
    )
