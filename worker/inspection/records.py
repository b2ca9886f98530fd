"""What PostgreSQL knows of the whole: parked and dead jobs, the outbox, rates, and how fresh the meetings are.

Every query is bounded: a count stops at `MOST`, and shows itself as that.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from noteflow.infrastructure.persistence.behind import IS_BEHIND_LETTER
from worker.inspection.sources import Sources

MOST: Final = 100_000
RATE_WINDOW_S: Final = 60


@dataclass(frozen=True, slots=True)
class StoredCounts:
    """Parked and dead jobs by queue, and the outbox's rows; of those dispatched, how many are to be looked at now.

    `behind` of the parked ones wait behind a dead letter.
    """

    parked: Mapping[str, int]
    dead: Mapping[str, int]
    outbox_waiting: int
    outbox_dispatched: int
    outbox_doubted: int = 0
    behind: int = 0


@dataclass(frozen=True, slots=True)
class Rates:
    """Endings within the last `window_s` seconds, from the ledger and the dead letters."""

    window_s: int
    per_s: float
    by_kind: dict[str, int]
    by_outcome: dict[str, int]
    dead: int
    median_s: float | None
    slowest_s: float | None


@dataclass(frozen=True, slots=True)
class MeetingFreshness:
    """An open meeting, and how long ago its last segments were committed; `last_commit_at` None says never."""

    meeting_id: UUID
    state: str
    last_commit_at: datetime | None
    age_s: float
    lag_s: float | None


@dataclass(frozen=True, slots=True)
class Meetings:
    """The freshest and the stalest of the open meetings that were `looked_at`, at most 200 of each state."""

    looked_at: int
    freshest: MeetingFreshness | None
    stalest: MeetingFreshness | None


async def read_counts(sources: Sources) -> StoredCounts | None:
    """How many are parked, dead, and in the outbox."""
    rows = await sources.rows(_COUNTS, most=MOST)
    if rows is None:
        return None
    parked: dict[str, int] = {}
    dead: dict[str, int] = {}
    states = {"waiting": 0, "dispatched": 0, "doubted": 0, "behind": 0}
    for row in rows:
        if row.state == "parked":
            parked[row.queue] = row.number
        elif row.state == "dead":
            dead[row.queue] = row.number
        else:
            states[row.state] = states[row.state] + row.number
    return StoredCounts(parked, dead, states["waiting"], states["dispatched"], states["doubted"], states["behind"])


async def read_rates(sources: Sources) -> Rates | None:
    """What has ended within the last minute, and how long it took from enqueueing to commit."""
    rows = await sources.rows(_RATES, window_s=RATE_WINDOW_S)
    if rows is None:
        return None
    by_kind: dict[str, int] = {}
    by_outcome: dict[str, int] = {}
    for row in rows:
        if row.kind is not None and row.outcome is not None:
            by_kind[row.kind] = by_kind.get(row.kind, 0) + row.number
            by_outcome[row.outcome] = by_outcome.get(row.outcome, 0) + row.number
    # The row of the grand total is there even if nothing has ended.
    total = next(row for row in rows if row.kind is None)
    return Rates(
        RATE_WINDOW_S,
        round(total.number / RATE_WINDOW_S, 2),
        by_kind,
        by_outcome,
        total.dead,
        total.median_s,
        total.slowest_s,
    )


async def read_meetings(sources: Sources) -> Meetings | None:
    """The open meetings whose segments came last and came least recently."""
    rows = await sources.rows(_MEETINGS)
    if rows is None:
        return None
    found = [MeetingFreshness(row.id, row.state, row.committed_at, row.age_s, row.lag_s) for row in rows]
    found.sort(key=lambda meeting: meeting.age_s)
    return Meetings(len(found), found[0] if found else None, found[-1] if found else None)


_COUNTS = f"""
    (SELECT queue, 'parked' AS state, count(*) AS number
     FROM (SELECT queue FROM outbox WHERE state = 'parked' LIMIT :most) AS parked GROUP BY queue)
    UNION ALL
    (SELECT queue, 'dead', count(*)
     FROM (SELECT queue FROM dead_letters WHERE state = 'dead' LIMIT :most) AS dead GROUP BY queue)
    UNION ALL
    (SELECT '', 'waiting', count(*) FROM (SELECT FROM outbox WHERE state = 'waiting' LIMIT :most) AS waiting)
    UNION ALL
    (SELECT '', 'dispatched', count(*) FROM (SELECT FROM outbox WHERE state = 'dispatched' LIMIT :most) AS sent)
    UNION ALL
    (SELECT '', 'doubted', count(*)
     FROM (SELECT FROM outbox WHERE state = 'dispatched' AND due_at <= clock_timestamp() LIMIT :most) AS doubted)
    UNION ALL
    (SELECT '', 'behind', count(*) FROM (SELECT FROM outbox WHERE {IS_BEHIND_LETTER} LIMIT :most) AS behind)
"""  # noqa: S608  # of constants

_RATES = """
    SELECT kind, outcome, count(*) AS number,
           CAST(percentile_cont(0.5) WITHIN GROUP (ORDER BY took_s) AS float8) AS median_s,
           CAST(max(took_s) AS float8) AS slowest_s,
           (SELECT count(*) FROM (SELECT FROM dead_letters WHERE state = 'dead'
                                  AND died_at > clock_timestamp() - make_interval(secs => :window_s)
                                  LIMIT 100000) AS dying) AS dead
    FROM (SELECT kind, outcome, extract(epoch FROM committed_at - enqueued_at) AS took_s FROM job_ledger
          WHERE committed_at > clock_timestamp() - make_interval(secs => :window_s)
                AND isfinite(committed_at) AND isfinite(enqueued_at)
          ORDER BY committed_at DESC LIMIT 200000) AS recent
    GROUP BY GROUPING SETS ((kind, outcome), ())
"""

_MEETINGS = """
    SELECT open.id, open.state, last.committed_at,
           CAST(extract(epoch FROM clock_timestamp() - coalesce(last.committed_at, open.started_at, open.created_at))
                AS float8) AS age_s,
           CAST(extract(epoch FROM last.committed_at - last.enqueued_at) AS float8) AS lag_s
    FROM unnest(ARRAY['RECORDING', 'STOPPING', 'STOPPED']) AS wanted (state)
    CROSS JOIN LATERAL (SELECT id, state, created_at, started_at FROM meetings
                        WHERE meetings.state = wanted.state ORDER BY created_at DESC LIMIT 200) AS open
    LEFT JOIN LATERAL (SELECT committed_at, enqueued_at FROM job_ledger
                       WHERE meeting_id = open.id AND kind = 'ingest_segments'
                       ORDER BY committed_at DESC LIMIT 1) AS last ON true
"""
