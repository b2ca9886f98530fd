"""What the witness says about reruns, rescues and zombies."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tests.chaos.witness import Line


@dataclass(frozen=True)
class Figures:
    """`runs` are starts of claimed jobs. A rescue is the time from a worker's death to another's start of its job.

    A zombie's run ended after another process had started the same job: its ack had to change nothing.
    """

    workers: int = 0
    runs: int = 0
    reruns: int = 0
    zombies: int = 0
    rescues_s: list[float] = field(default_factory=list)

    @property
    def rescue(self) -> str:
        """The median and the longest, for people."""
        if not self.rescues_s:
            return "none"
        ordered = sorted(self.rescues_s)
        return f"{len(ordered)}, p50 {ordered[len(ordered) // 2]:.1f} s, max {ordered[-1]:.1f} s"


def figures_of(lines: Sequence[Line], deaths: Mapping[int, float]) -> Figures:
    """Count; `deaths` are the moments at which processes were killed."""
    by_job: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        if line.point in ("started", "ended"):
            by_job[line.job_id].append(line)
    runs = sum(line.point == "started" for line in lines)
    return Figures(
        workers=sum(line.point == "born" for line in lines),
        runs=runs,
        reruns=runs - sum(any(line.point == "started" for line in job) for job in by_job.values()),
        zombies=sum(_is_zombie(job, place) for job in by_job.values() for place in range(len(job))),
        rescues_s=[rescue for job in by_job.values() for rescue in _rescues(job, deaths)],
    )


def _is_zombie(job: Sequence[Line], place: int) -> bool:
    if job[place].point != "ended":
        return False
    last_start = next(line for line in reversed(job[:place]) if line.point == "started")
    return last_start.pid != job[place].pid


def _rescues(job: Sequence[Line], deaths: Mapping[int, float]) -> list[float]:
    rescues = []
    for place, line in enumerate(job):
        after = job[place + 1 :]
        ended = any(later.pid == line.pid and later.point == "ended" for later in after)
        if line.point == "started" and line.pid in deaths and not ended:
            nexts = [later.at_s for later in after if later.point == "started" and later.pid != line.pid]
            rescues += [max(0.0, nexts[0] - deaths[line.pid])] if nexts else []
    return rescues
