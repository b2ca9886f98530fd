"""Shows on stderr how far a command is: a bar for eyes, a line now and then for a log."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from worker.cli.terminal import console, echo
from worker.transcripts.progress import OnProgress

_LINE_EVERY_S = 5.0


@contextmanager
def shown(what: str, unit: str, *, every_s: float = _LINE_EVERY_S) -> Iterator[OnProgress]:
    """Yield what is to be told how many of how many are done. What takes less than `every_s` leaves a log unbothered.

    The bar is gone after the block.
    """
    screen = console(err=True)
    if not screen.is_interactive:
        yield _lines(f"{what}: ", unit, every_s)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn(unit))
    with Progress(*columns, TimeElapsedColumn(), console=screen, transient=True) as progress:
        bar = progress.add_task(escape(what), total=None)
        yield lambda done, total: progress.update(bar, completed=done, total=total)


def _lines(prefix: str, unit: str, every_s: float) -> OnProgress:
    told_s = time.monotonic()

    def tell(done: int, total: int) -> None:
        nonlocal told_s
        now_s = time.monotonic()
        if now_s - told_s >= every_s and done < total:
            told_s = now_s
            echo(f"{prefix}{done} of {total} {unit}", err=True)

    return tell
