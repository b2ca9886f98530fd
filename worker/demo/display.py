"""Shows how far each meeting is: moving bars for eyes, a few plain lines for a log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from worker.printable import printable

_STEPS = 4


class Display:
    """One bar a meeting. Where nobody watches, it says a line at each quarter instead."""

    def __init__(self, console: Console, titles: Sequence[str], totals: Sequence[int]) -> None:
        self._console = console
        self._totals = totals
        self._told = 0
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("segments stored"),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_interactive,
        )
        self._bars = [
            self._progress.add_task(escape(printable(title)[:32]), total=total)
            for title, total in zip(titles, totals, strict=True)
        ]

    def update(self, stored: Sequence[int]) -> None:
        """Show how many segments of each meeting are stored."""
        for bar, number in zip(self._bars, stored, strict=True):
            self._progress.update(bar, completed=number)
        quarter = _STEPS * sum(stored) // max(1, sum(self._totals))
        if not self._console.is_interactive and quarter > self._told:
            self._told = quarter
            self.say(f"{sum(stored)} of {sum(self._totals)} segments stored")

    def say(self, sentence: str) -> None:
        """Tell an event, above the bars."""
        self._console.print(f"[dim]·[/] {escape(sentence)}", highlight=False, soft_wrap=True)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
