"""Parked jobs whose predecessor is a dead letter, or on its way again: what they wait for may still come."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

LONGEST: Final = timedelta(days=30)
"""For so long after it was parked a job waits for what a person does with the dead letter before it."""

BLOCKING_LETTERS: Final = """
    SELECT letter.job_id, letter.died_at FROM dead_letters AS letter
    CROSS JOIN LATERAL (SELECT CASE WHEN split_part(letter.job_id, ':', 3) ~ '^[0-9]{1,9}$'
                               THEN CAST(split_part(letter.job_id, ':', 3) AS int) END) AS numbered (sequence)
    WHERE letter.state = 'dead' AND letter.meeting_id = outbox.meeting_id AND letter.job_id <> outbox.job_id
      AND letter.kind = CASE WHEN outbox.awaits = 'batches' THEN 'ingest_segments'
                             WHEN outbox.awaits <> 'meeting' THEN 'change_meeting_state' END
      AND (outbox.awaits <> 'sequence' OR numbered.sequence IS NULL OR numbered.sequence < outbox.sequence
           AND NOT EXISTS (SELECT FROM meetings WHERE meetings.id = outbox.meeting_id
                           AND meetings.sequence >= numbered.sequence))
"""
"""The dead letters before a parked row of `outbox`. An id that names no number may be that of any predecessor."""

IS_BEHIND_LETTER: Final = f"(outbox.state = 'parked' AND EXISTS ({BLOCKING_LETTERS}))"

# What was replayed, or woken by it, has a row of its own until it is applied.
WAITS_ON: Final = f"""(
    outbox.parked_at > clock_timestamp() - CAST(:longest AS interval) AND (
        EXISTS ({BLOCKING_LETTERS})
        OR EXISTS (SELECT FROM outbox AS before WHERE before.meeting_id = outbox.meeting_id
                   AND before.state <> 'parked' AND before.job_id <> outbox.job_id
                   AND outbox.awaits <> 'meeting'
                   AND (before.sequence < outbox.sequence OR outbox.awaits = 'batches' AND before.sequence IS NULL)))
)"""  # of constants
"""Whether a parked row of `outbox` outlives its time, since what it waits for may still come."""
