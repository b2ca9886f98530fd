"""One meeting's figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from worker.demo.moves import Move
from worker.demo.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Account:
    """What was said about one meeting and what came of it."""

    title: str
    in_file: int
    stored: int
    said_again: int
    """Segments that were sent a second or third time."""
    known_to_queue: int
    """Those of them that the queue did not take a second time; of the others, the database has to know."""
    moves: tuple[Move, ...]
    jobs: int
    jobs_done: int
    latencies_ms: tuple[float, ...]
    """From the call that enqueued a job to its commit, one figure for each job."""
    took_s: float
    """From the first batch said to the last one committed."""
    verdict: Verdict

    @property
    def segments_per_s(self) -> float:
        """Segments stored in a second."""
        return self.stored / self.took_s if self.took_s > 0 else 0.0


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value that `share` of the values do not exceed (nearest rank), or None of none."""
    if not values:
        return None
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]
