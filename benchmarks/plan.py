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
    drips: int = 100
    drip_pause_s: float = 0.02
    """On average, between two jobs of a measured latency; longer for large ones, or they would queue up."""

    def drips_of(self, size: int) -> tuple[int, float]:
        """How many jobs of `size` segments to let drip, and the pause between two in seconds."""
        pause_s = self.drip_pause_s + size * 0.0005
        return max(20, round(self.drips * self.drip_pause_s / pause_s)), pause_s


def default_plan() -> Plan:
    """For figures one may quote: about a quarter of an hour."""
    return Plan()


def quick_plan() -> Plan:
    """To see that everything works: a minute or two."""
    return Plan(rounds=1, target_s=0.4, processes=(1, 4), segments=(1, 50), drips=20)
