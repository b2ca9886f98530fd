"""A changed meeting as one write: over the version that was read, with its moves in the history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from noteflow.domain.entities import Meeting


@dataclass(slots=True, eq=False)
class MeetingUpdate:
    """Stores the meeting and raises its version, or ends the statement with the SQLSTATE of a conflict.

    `refuse_stale` (of the migrations) raises; it is asked only where no row was updated that should have been.
    """

    rank: ClassVar[int] = 20
    clause: ClassVar[str] = """
        moved AS (
            UPDATE meetings SET
                title = CAST(:title AS text), state = CAST(:state AS text), version = CAST(:version AS int) + 1,
                sequence = CAST(:sequence AS int), created_at = CAST(:created_at AS timestamptz),
                started_at = CAST(:started_at AS timestamptz), ended_at = CAST(:ended_at AS timestamptz),
                expected_batches = CAST(:expected_batches AS int)
            WHERE id = CAST(:meeting AS uuid) AND version = CAST(:version AS int) AND {gate}
            RETURNING id, version
        ), history AS (
            INSERT INTO meeting_history (meeting_id, version, step, from_state, to_state, sequence, job_id)
            SELECT moved.id, moved.version, step, origin, target, moves.sequence, CAST(:moved_by AS text)
            FROM moved, unnest(CAST(:origins AS text[]), CAST(:targets AS text[]), CAST(:sequences AS int[]))
                 WITH ORDINALITY AS moves (origin, target, sequence, step)
        )"""
    answer: ClassVar[str] = """
        (SELECT count(*) FROM moved) AS moved,
        CASE WHEN {gate} AND NOT EXISTS (SELECT FROM moved)
             THEN refuse_stale(CAST(:meeting AS uuid), CAST(:version AS int)) END AS stale"""

    meeting: Meeting
    job_id: str | None

    def values(self) -> Mapping[str, Any]:
        """The parameters."""
        meeting, moves = self.meeting, self.meeting.moves
        return {
            "meeting": meeting.id,
            "title": meeting.title,
            "state": meeting.state.value,
            "version": meeting.version,
            "sequence": meeting.sequence,
            "created_at": meeting.created_at,
            "started_at": meeting.started_at,
            "ended_at": meeting.ended_at,
            "expected_batches": meeting.expected_batches,
            "moved_by": self.job_id,
            "origins": [move.origin.value for move in moves],
            "targets": [move.target.value for move in moves],
            "sequences": [move.sequence for move in moves],
        }

    def written(self, row: Mapping[str, Any]) -> None:
        """The meeting is at its new version."""
        if row["moved"]:
            self.meeting.version += 1
            self.meeting.moves.clear()
