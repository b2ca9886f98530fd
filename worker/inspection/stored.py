"""The jobs that PostgreSQL keeps: asked for, parked, complete."""

from __future__ import annotations

from typing import Any

from worker.inspection.choice import Choice, JobState, condition
from worker.inspection.masking import masked_name
from worker.inspection.sources import Sources

Fields = list[dict[str, Any]]
"""The fields of a `JobRow` each."""


async def find_asked(sources: Sources, choice: Choice, limit: int) -> Fields:
    """Jobs in the outbox that no relay has carried to Redis yet, oldest first."""
    rows = await sources.rows(_ASKED, limit=limit, **choice.parameters) or ()
    return [_fields(row, JobState.OUTBOX, row.created_at, "asked for, not in Redis yet") for row in rows]


async def find_parked(sources: Sources, choice: Choice, limit: int) -> Fields:
    """Parked jobs, those that will be given up first first."""
    rows = await sources.rows(_PARKED, limit=limit, **choice.parameters) or ()
    return [_fields(row, JobState.PARKED, row.parked_at, f"waits for {row.lacks}") for row in rows]


async def find_complete(sources: Sources, choice: Choice, limit: int) -> Fields:
    """Jobs of the ledger, newest first, among the newest 100,000 (of one meeting: all)."""
    if choice.error is not None:
        return []
    rows = await sources.rows(_OF_MEETING if choice.meeting_id else _COMPLETE, limit=limit, **choice.parameters) or ()
    return [
        {
            "job_id": row.job_id,
            "state": JobState.COMPLETE,
            "kind": row.kind,
            "meeting_id": row.meeting_id,
            "queue": None,
            "at": row.committed_at,
            "tries": row.attempts,
            "size_bytes": None,
            "worker": row.worker,
            "detail": row.outcome,
        }
        for row in rows
    ]


def _fields(row: Any, state: JobState, at: object, detail: str) -> dict[str, Any]:
    return {
        "job_id": row.job_id,
        "state": state,
        "kind": masked_name(row.kind),
        "meeting_id": row.meeting_id,
        "queue": row.queue,
        "at": at,
        "tries": None,
        "size_bytes": row.size_bytes,
        "worker": None,
        "detail": detail,
    }


_COLUMNS = "job_id, queue, kind, meeting_id, length(body) AS size_bytes, missing, awaits, created_at, parked_at"

_ASKED = f"""
    SELECT {_COLUMNS} FROM outbox WHERE state = 'waiting' AND {condition("''", "created_at")}
    ORDER BY position LIMIT :limit
"""  # noqa: S608  # of constants

_PARKED = f"""
    SELECT parked.*, CASE WHEN awaits = 'sequence' AND meetings.id IS NOT NULL
                     THEN format('state change %s of meeting %s', meetings.sequence + 1, meeting_id)
                     ELSE missing END AS lacks
    FROM (SELECT {_COLUMNS}, due_at FROM outbox WHERE state = 'parked' AND {condition("missing", "parked_at")}
          ORDER BY due_at LIMIT :limit) AS parked
    LEFT JOIN meetings ON meetings.id = meeting_id ORDER BY due_at
"""  # noqa: S608

_COMPLETE = f"""
    SELECT * FROM (SELECT * FROM job_ledger ORDER BY committed_at DESC LIMIT 100000) AS newest
    WHERE {condition("''", "committed_at")} ORDER BY committed_at DESC LIMIT :limit
"""  # noqa: S608

_OF_MEETING = f"""
    SELECT * FROM job_ledger WHERE meeting_id = :meeting_id AND {condition("''", "committed_at")}
    ORDER BY committed_at DESC LIMIT :limit
"""  # noqa: S608
