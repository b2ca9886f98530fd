"""Whether PostgreSQL keeps what it acknowledges, and whether it still has what it acknowledged."""

from __future__ import annotations

from typing import Final

from worker.inspection.checks.finding import Finding, ok, warning
from worker.inspection.set_back import description_of, read_postgres_loss
from worker.inspection.sources import RedisAway, Sources, moment

_RISKS: Final = {
    "synchronous_commit": "a crash of the server loses what was committed within its last second",
    "fsync": "a crash of the machine loses or corrupts what was committed",
    "full_page_writes": "a crash of the machine may corrupt pages that were half written",
}


async def check_durability(sources: Sources) -> list[Finding]:
    """Name each setting that lets PostgreSQL lose what it acknowledged; nothing while it is away."""
    row = await sources.first(_SETTINGS)
    if row is None:
        return []
    off = [name for name in _RISKS if getattr(row, name) == "off"]
    subject = "postgresql durability"
    if not off:
        return [ok(subject, "what is committed is on disk before it is acknowledged")]
    found = "; ".join(f"{name} is off: {_RISKS[name]}" for name in off)
    return [warning(subject, found, f"set {', '.join(off)} to on")]


async def check_set_back(sources: Sources) -> list[Finding]:
    """Compare the marks in PostgreSQL and Redis, and report a loss of commits within the day."""
    subject = "postgresql mark"
    try:
        loss = await read_postgres_loss(sources)
        now = moment(await sources.now_ms())
    except RedisAway:  # which another finding reports
        return []
    if sources.postgresql_problem is not None:
        return []
    if loss is None:
        return [ok(subject, "it has not lost commits within the day")]
    return [warning(subject, description_of(loss, now), "python -m worker reconcile")]


_SETTINGS = """
    SELECT current_setting('synchronous_commit') AS synchronous_commit, current_setting('fsync') AS fsync,
           current_setting('full_page_writes') AS full_page_writes
"""
