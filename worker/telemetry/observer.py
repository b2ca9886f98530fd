"""Who hears of every attempt and every ending, as they happen."""

from __future__ import annotations

from typing import Protocol

from worker.delivery import Delivery
from worker.endings import Ending


class Observer(Protocol):
    """Hears what each claim comes to. Called in the jobs' own time: answers at once and raises nothing."""

    def started(self, delivery: Delivery) -> None:
        """A claim's work begins."""

    def attempted(self, kind: str, reason: str, took_s: float) -> None:
        """An attempt ended: `succeeded`, or the name of its failure."""

    def ended(self, delivery: Delivery, ending: Ending) -> None:
        """The work of a claim came to this; Redis has not been told yet."""


class Unobserved:
    """Hears nothing."""

    def started(self, delivery: Delivery) -> None:
        """Nothing."""

    def attempted(self, kind: str, reason: str, took_s: float) -> None:
        """Nothing."""

    def ended(self, delivery: Delivery, ending: Ending) -> None:
        """Nothing."""
