"""Tells how far a long file is, to whoever wants to show it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar("Item")

OnProgress = Callable[[int, int], None]
"""Called with how many are done and how many there are, from time to time and at the end."""

_TOLD_EVERY = 1_000


def unheard(done: int, total: int) -> None:
    """Tell nobody."""


def counted(items: Iterable[Item], total: int, on_progress: OnProgress) -> Iterator[Item]:
    """The items, telling every thousand, and when they end, how many of the `total` were taken."""
    for done, item in enumerate(items):
        if done and done % _TOLD_EVERY == 0:
            on_progress(done, total)
        yield item
    on_progress(total, total)
