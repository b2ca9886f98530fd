"""The results as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Figures, Measure, Place
from benchmarks.record import comparison
from benchmarks.systems import OURS

# How many times as good ours is. The naive loop is the one that stores one by one.
_REFERENCES = {"arq": "× stock arq", "best_peer": "× the best peer", "naive_loop": "× the naive loop"}


def show(
    console: Console, figures: Figures, measures: Sequence[Measure], titles: Mapping[str, str], peers: Sequence[str]
) -> None:
    """One table a measure: medians, and how many times as good ours is as the others."""
    for measure in measures:
        places = [place for place in figures.places if place.measure == measure]
        if places:
            console.print(_table(figures, measure, places, titles, peers))


def show_notes(console: Console, notes: Mapping[str, Any]) -> None:
    """On what, with what, and how it was measured."""
    for name, value in notes.items():
        text = ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, dict) else str(value)
        console.print(f"[dim]{name}:[/] {text}", highlight=False, soft_wrap=True)


def _table(
    figures: Figures, measure: Measure, places: Sequence[Place], titles: Mapping[str, str], peers: Sequence[str]
) -> Table:
    unit = f", {measure.unit}" if measure.unit else ""
    direction = "more is better" if measure.more_is_better else "less is better"
    table = Table(title=f"{measure.title}{unit} ({direction})", title_justify="left", min_width=72)
    table.add_column("", no_wrap=True)
    for place in places:
        table.add_column(place.case, justify="right")
    for system in _in_order(titles, {system for place in places for system in figures.values(place)}):
        cells = [_number(figures.medians(place).get(system)) for place in places]
        table.add_row(titles[system], *cells, style="bold" if system == OURS else None)
    table.add_section()
    ratios = [comparison(figures, place, peers).get(OURS, {}) for place in places]
    for reference, title in _REFERENCES.items():
        if any(reference in ratio for ratio in ratios):
            cells = [f"{ratio[reference]:.3g}" if reference in ratio else "" for ratio in ratios]
            table.add_row(title, *cells, style="cyan")
    return table


def _in_order(titles: Mapping[str, str], present: Iterable[str]) -> list[str]:
    wanted = set(present)
    return [system for system in titles if system in wanted]


def _number(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"
