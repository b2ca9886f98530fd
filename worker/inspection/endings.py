"""Endings as they happen, by asking the ledger, the dead letters and the parked again and again.

A row carries the moment it was written, and is seen when its transaction commits, which may be later than that of a
younger row. So each look begins `OVERLAP_S` before the last one's end and what was told already is left out: an ending
is told once, and none is missed whose transaction took less than that. Jobs that were handed back have not ended.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from worker.inspection.choice import Choice
from worker.inspection.letters import find_letters
from worker.inspection.masking import masked_name, masked_reason
from worker.inspection.sources import Sources

OVERLAP_S: Final = 3.0
MOST: Final = 5_000
_REMEMBERED: Final = 100_000


@dataclass(frozen=True, slots=True)
class EndingTold:
    """One ending. `outcome` is the ledger's, or "parked" or "dead"; `took_s` is from enqueueing to commit."""

    at: datetime
    job_id: str
    outcome: str
    kind: str
    meeting_id: UUID | None
    worker: str | None
    took_s: float | None
    reason: str | None


class Endings:
    """Endings since a moment, told page by page to whoever asks."""

    def __init__(self, sources: Sources, since: datetime) -> None:
        self._sources = sources
        self._since = since
        self._start = since
        self._is_behind = False
        self._told: OrderedDict[tuple[str, str, datetime], None] = OrderedDict()

    async def new(self) -> list[EndingTold]:
        """What has ended since the last time, oldest first, 5,000 at once at most; the rest comes the next time."""
        self._sources.ask_anew()
        overlap = timedelta() if self._is_behind else timedelta(seconds=OVERLAP_S)
        start = max(self._start, self._since - overlap)
        rows = await self._sources.rows(_ENDINGS, start=start, most=MOST)
        self._is_behind = rows is not None and len(rows) == MOST
        found = [
            EndingTold(
                row.at, row.job_id, row.outcome, masked_name(row.kind), row.meeting_id, row.worker or None, row.took_s,
                masked_reason(row.reason) if row.reason else None,
            )
            for row in rows or ()
        ]  # fmt: skip
        if rows is None:
            found = await self._dying(start)
        fresh = [ending for ending in found if self._is_new(ending)]
        # A row that claims a far future must not hide those that are written until then; clocks are less far apart.
        latest = datetime.now(UTC) + timedelta(days=1)
        self._since = max((ending.at for ending in found if ending.at <= latest), default=self._since)
        return fresh

    async def _dying(self, start: datetime) -> list[EndingTold]:
        """What Redis alone can tell of: dead letters."""
        found = [
            EndingTold(letter.died_at, letter.job_id, "dead", letter.kind, letter.meeting_id, letter.worker, None,
                       letter.reason)
            async for letter in find_letters(self._sources, Choice(since=start), MOST)
            if letter.died_at is not None
        ]  # fmt: skip
        return sorted(found, key=lambda ending: ending.at)

    def _is_new(self, ending: EndingTold) -> bool:
        key = (ending.job_id, ending.outcome, ending.at)
        if key in self._told:
            return False
        self._told[key] = None
        if len(self._told) > _REMEMBERED:
            self._told.popitem(last=False)
        return True


_ENDINGS = """
    (SELECT committed_at AS at, job_id, outcome, kind, meeting_id, worker,
            CAST(extract(epoch FROM committed_at - enqueued_at) AS float8) AS took_s, NULL AS reason
     FROM job_ledger WHERE committed_at >= :start ORDER BY committed_at LIMIT :most)
    UNION ALL
    (SELECT died_at, job_id, 'dead', kind, meeting_id, worker,
            CAST(extract(epoch FROM died_at - enqueued_at) AS float8), reason
     FROM dead_letters WHERE died_at >= :start AND state = 'dead' ORDER BY died_at LIMIT :most)
    UNION ALL
    (SELECT parked_at, job_id, 'parked', kind, meeting_id, NULL, NULL, 'premature: waits for ' || missing
     FROM outbox WHERE state = 'parked' AND parked_at >= :start ORDER BY parked_at LIMIT :most)
    ORDER BY 1 LIMIT :most
"""
