"""What was measured, round by round, and what it comes to."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


@dataclass(frozen=True, slots=True)
class Measure:
    """A quantity, in which direction it is good, and the suite it belongs to."""

    suite: str
    name: str
    title: str
    unit: str
    more_is_better: bool


@dataclass(frozen=True, slots=True)
class Place:
    """One column of one table: a measure in a case, "4 processes"."""

    measure: Measure
    case: str


@dataclass(slots=True)
class Figures:
    """The values of every system at every place, one a round."""

    _values: dict[Place, dict[str, list[float]]] = field(default_factory=dict)

    def add(self, measure: Measure, case: str, system: str, value: float | None) -> None:
        """Take in one round's value; None is one that this machine cannot tell."""
        if value is not None:
            self._values.setdefault(Place(measure, case), {}).setdefault(system, []).append(value)

    @property
    def places(self) -> Sequence[Place]:
        """Every place, in the order of their first values."""
        return tuple(self._values)

    def values(self, place: Place) -> Mapping[str, Sequence[float]]:
        """Each system's values, one a round."""
        return self._values[place]

    def medians(self, place: Place) -> dict[str, float]:
        """Each system's median over the rounds."""
        return {system: median(values) for system, values in self._values[place].items()}


def times_as_good(measure: Measure, value: float, reference: float) -> float:
    """How many times as good `value` is as `reference`: above 1 is better, whichever the measure's direction."""
    above, below = (value, reference) if measure.more_is_better else (reference, value)
    return above / below if below else math.inf


def best(measure: Measure, medians: Mapping[str, float], among: Sequence[str]) -> str | None:
    """The system with the best median, or None where none of `among` has one."""
    candidates = [system for system in among if system in medians]
    if not candidates:
        return None
    return (max if measure.more_is_better else min)(candidates, key=lambda system: medians[system])


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed. It is one of them, never a mean."""
    if not values:
        raise ValueError("no values")
    if not 0 < share <= 1:
        raise ValueError(f"share must be above 0 and at most 1, not {share}")
    return sorted(values)[math.ceil(share * len(values)) - 1]


def spread(values: Sequence[float]) -> float:
    """How far the rounds lie apart, as a share of their median."""
    middle = median(values)
    return (max(values) - min(values)) / middle if middle else 0.0
