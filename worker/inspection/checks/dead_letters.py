"""Dead letters that will be deleted soon, or whose payloads are."""

from __future__ import annotations

from noteflow.infrastructure.persistence.payload_limit import MOST_BYTES, MOST_PAYLOADS
from noteflow.infrastructure.persistence.pruning import UNHANDLED_KEPT, WARNED_BEFORE
from worker.inspection.checks.finding import Finding, error, ok, warning
from worker.inspection.sources import Sources
from worker.inspection.words import count

_CURE = "replay or drop them: python -m worker jobs dead ls"
_NEARLY = 0.8


async def check_dead_letters(sources: Sources) -> list[Finding]:
    """Count the unhandled ones that `prune` is about to delete, and the room that payloads take; nothing while away."""
    row = await sources.first(_COUNT, kept=UNHANDLED_KEPT - WARNED_BEFORE)
    if row is None:
        return []
    subject, days = "dead letters", UNHANDLED_KEPT.days
    size = f"{count(row.payloads, 'payload')}, {row.size_bytes / 2**20:,.1f} MiB"
    if row.removed:
        lost = f"{count(row.removed, 'unhandled dead letter')} lost the payload: more were kept than may be"
        return [error(subject, f"{lost} ({size})", _CURE)]
    if row.expiring:
        soon = f"within {WARNED_BEFORE.days} days"
        found = f"{count(row.expiring, 'unhandled one')} over {days} days old, now or {soon}: prune deletes them then"
        return [warning(subject, found, _CURE)]
    if row.payloads > _NEARLY * MOST_PAYLOADS or row.size_bytes > _NEARLY * MOST_BYTES:
        most = f"{MOST_PAYLOADS:,} payloads and {MOST_BYTES // 2**30} GiB"
        return [warning(subject, f"{size}: beyond {most} the oldest payloads are removed, handled ones first", _CURE)]
    return [ok(subject, f"{count(row.unhandled, 'unhandled one')}; {size}")]


_COUNT = """
    SELECT count(*) FILTER (WHERE state = 'dead') AS unhandled,
           count(*) FILTER (WHERE state = 'dead' AND died_at < now() - CAST(:kept AS interval)) AS expiring,
           count(*) FILTER (WHERE state = 'dead' AND payload_removed_at > kept_at) AS removed,
           count(*) FILTER (WHERE body IS NOT NULL) AS payloads,
           CAST(coalesce(sum(pg_column_size(body)), 0) AS bigint) AS size_bytes
    FROM dead_letters
"""
