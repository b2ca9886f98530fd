"""Whether Redis is still the one that the outbox's jobs were carried to."""

from __future__ import annotations

from worker.inspection.checks.finding import Finding, ok, warning
from worker.inspection.loss import read_mark
from worker.inspection.sources import RedisAway, Sources, moment
from worker.inspection.words import count, since

_CURE = "python -m worker reconcile"


async def check_loss(sources: Sources) -> list[Finding]:
    """Compare the mark that a relay leaves in Redis with the server that holds it now.

    It is gone after a FLUSHALL, and another's after a restart or a failover. A relay renews it within seconds, and
    notes for an hour that it had to.
    """
    subject = "redis mark"
    try:
        mark = await read_mark(sources)
    except RedisAway:  # other findings tell of it
        return []
    if mark.is_right and mark.noticed_at is not None:
        told = f"it was emptied, restarted or replaced at {since(mark.noticed_at, moment(await sources.now_ms()))}: "
        told += "jobs of the outbox are put back, what was enqueued straight into it only its producers can repeat"
        return [warning(subject, told, _CURE)]
    if mark.is_right:
        return [ok(subject, "it is the one that a relay marked, and was not emptied since")]
    if mark.is_there:
        return [warning(subject, "it was restarted, or is another, since a relay marked it: jobs may be lost", _CURE)]
    row = await sources.first(_CARRIED)
    if row is None or not row.number:
        return [ok(subject, "no relay has marked it yet")]
    told = f"nothing marks it: it was emptied since {count(row.number, 'job')} of the outbox were carried to it"
    return [warning(subject, told, _CURE)]


_CARRIED = """
    SELECT count(*) AS number FROM (SELECT FROM outbox WHERE state = 'dispatched' LIMIT 100000) AS carried
"""
