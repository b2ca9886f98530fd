"""Bounds for labels: anyone who can write to Redis can invent kinds, queues and events, and each would be a series."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

from worker.inspection.fleet import Fleet

OTHER: Final = "other"
"""Every name that is not known: a name from a payload never becomes a label."""

MOST_QUEUES: Final = 100
LONGEST_QUEUE: Final = 200
EVENTS: Final = ("buried", "evicted", "replayed", "dropped", "moved")

_FEW: Final = 1_000
_PAGE: Final = 5_000
_PATIENCE_S: Final = 0.5
_MOST_COUNTED: Final = 1 << 62


def by_known(counts: Mapping[str, int], known: Collection[str]) -> dict[str, int]:
    """The counts of the known names, and those of all others together."""
    bounded: Counter[str] = Counter()
    for name, number in counts.items():
        bounded[name if name in known else OTHER] += number
    return dict(bounded)


def bounded_queues(first: str, stored: Iterable[str], fleet: Fleet) -> list[str]:
    """The queues that are shown: `first`, those that PostgreSQL knows, and those that most workers serve."""
    served = Counter(queue for worker in fleet.workers for queue in set(worker.queues))
    paused = {pause.name for pause in fleet.pauses if pause.scope == "queue"}
    others = [*sorted(stored), *(queue for queue, _ in served.most_common()), *sorted(paused)]
    shown = [first, *(queue for queue in others if len(queue) <= LONGEST_QUEUE)]
    return list(dict.fromkeys(shown))[:MOST_QUEUES]


async def counts_in(redis: Any, key: str, known: Collection[str]) -> dict[str, int]:
    """The counters of the known names in a hash, and the sum of all others; what is no number is left out.

    A hash that is too large to be read within half a second has no sum of the others.
    """
    if await redis.hlen(key) <= _FEW:
        return by_known(_numbers(await redis.hgetall(key)), known)
    names = [name.encode() for name in known]
    counts = _numbers(dict(zip(names, await redis.hmget(key, names), strict=True)))
    other, cursor, ends_at = 0, 0, time.monotonic() + _PATIENCE_S
    while time.monotonic() < ends_at:
        cursor, page = await redis.hscan(key, cursor, count=_PAGE)
        other += by_known(_numbers(page), known).get(OTHER, 0)
        if not cursor:
            return counts | {OTHER: other}
    return counts


def _numbers(fields: Mapping[bytes, bytes | None]) -> dict[str, int]:
    found = ((name, _number(raw)) for name, raw in fields.items())
    return {name.decode("utf-8", "backslashreplace"): number for name, number in found if number is not None}


def _number(raw: bytes | None) -> int | None:
    if raw is None or len(raw) > 20 or not raw.isdigit():
        return None
    return min(int(raw), _MOST_COUNTED)
