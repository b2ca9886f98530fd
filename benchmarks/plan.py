"""How much is measured."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Plan:
    """Rounds, cases, and how long one measurement is to take."""

    rounds: int = 3
    target_s: float = 2.0
    processes: tuple[int, ...] = (1, 2, 4, 8)
    segments: tuple[int, ...] = (1, 50, 500)
    max_jobs: int = 100
    """At once in one process of the queue suite, but for stock Arq, which has its own default."""
    nap_jobs: int = 10
    ingest_jobs: int = 20
    drips: int = 100
    drip_pause_s: float = 0.02


def default_plan() -> Plan:
    """For figures one may quote: about a quarter of an hour."""
    return Plan()


def quick_plan() -> Plan:
    """To see that everything works: a minute or two."""
    return Plan(rounds=1, target_s=0.4, processes=(1, 4), segments=(1, 50), drips=20)
