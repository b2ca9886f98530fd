"""The results as JSON: every round's value, medians, and ratios to what we want to be compared with."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.figures import Figures, Place, best, spread, times_as_good
from benchmarks.loops import NAIVE
from benchmarks.systems import STOCK

RESULTS = Path(__file__).parent / "results"


def comparison(figures: Figures, place: Place, peers: Sequence[str]) -> dict[str, dict[str, float]]:
    """Each system's median as so many times as good as stock Arq's, the best peer's and the naive loop's."""
    medians = figures.medians(place)
    references = {"arq": STOCK, "best_peer": best(place.measure, medians, peers), "naive_loop": NAIVE.name}
    return {
        system: {
            name: times_as_good(place.measure, median, medians[reference])
            for name, reference in references.items()
            if reference in medians
        }
        for system, median in medians.items()
    }


def record(figures: Figures, peers: Sequence[str], notes: Mapping[str, Any]) -> dict[str, Any]:
    """Everything, as plain values."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        **notes,
        "figures": [_figure(figures, place, peers) for place in figures.places],
    }


def write(results: Mapping[str, Any], home: Path = RESULTS) -> Path:
    """Store the results under their moment, and return where."""
    home.mkdir(exist_ok=True)
    path = home / f"{results['measured_at'].replace(':', '').replace('+0000', 'Z')}.json"
    path.write_text(json.dumps(results, indent=2) + "\n")
    return path


def _figure(figures: Figures, place: Place, peers: Sequence[str]) -> dict[str, Any]:
    medians, ratios, measure = figures.medians(place), comparison(figures, place, peers), place.measure
    return {
        "suite": measure.suite,
        "measure": measure.name,
        "case": place.case,
        "unit": measure.unit,
        "more_is_better": measure.more_is_better,
        "systems": {
            system: {
                "median": medians[system],
                "rounds": list(values),
                "spread": spread(values),
                "times_as_good_as": ratios[system],
            }
            for system, values in figures.values(place).items()
        },
    }
