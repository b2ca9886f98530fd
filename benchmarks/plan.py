"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Rounds, cases, and how long one measurement is to take."""

    rounds: int = 3
    target_s: float = 1.5
    processes: tuple[int, ...] = (1, 2, 4, 8)
    segments: tuple[int, ...] = (1, 50, 500)
    max_jobs: int = 100
    """At once in one process of the queue suite, but for stock Arq, which has its own default."""
    nap_jobs: int = 10
    ingest_jobs: int = 20
    drip_s: float = 4.0
    """How long jobs drip, one now and then, for one measured latency."""
    drips_per_s: tuple[int, ...] = (10, 50)

    def ingest_drip(self, size: int) -> tuple[int, float]:
        """How many jobs of `size` segments drip, and the mean pause in seconds: large ones must not queue up."""
        pause_s = 0.1 + size * 0.0004
        return round(self.drip_s / pause_s), pause_s


def default_plan() -> Plan:
    """For figures one may quote: about a quarter of an hour."""
    return Plan()


def quick_plan() -> Plan:
    """To see that everything works: a minute or two."""
    return Plan(rounds=1, target_s=0.4, processes=(1, 4), segments=(1, 50), drip_s=1.5)
