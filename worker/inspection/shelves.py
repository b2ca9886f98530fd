"""Which jobs of a queue are set aside because their kind is paused, told by the engine's own set of shelves.

A score alone does not say so: a producer may defer a job to any date.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.decoding import Gaps, integer

MOST_SHELVES: Final = 200
"""Fields of the hash that are looked at; the engine writes fewer."""

Shelves = Sequence[tuple[int, int]]
"""The bands of scores in use, each from its first to before its last."""


def shelves_in(gaps: Gaps, queue: str, page: Any) -> Shelves:
    """The shelves in use, from the first page of an HSCAN of `arq:shelves:<queue>`."""
    place = keys.SHELVES_PREFIX + queue
    found = gaps.page(place, page).values()
    numbers = {gaps.value(place, integer(raw, most=keys.SHELVES - 1), None) for raw in found}
    begins = sorted(keys.SHELVES_FROM_MS + n * keys.SHELF_WIDTH_MS for n in numbers if n is not None)
    return [(begin, begin + keys.SHELF_WIDTH_MS) for begin in begins]


def is_shelved(score: float, shelves: Shelves) -> bool:
    """Whether a job of this score lies on one of them."""
    return any(begin <= score < end for begin, end in shelves)
