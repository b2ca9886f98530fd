"""Which of a meeting's numbered batches are stored."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from noteflow.domain.ports import BatchNumber
from noteflow.domain.value_objects import MeetingId


@dataclass(frozen=True, slots=True)
class NumberedBatch:
    """Notes that one part of a numbered batch is stored. A trigger wakes the completion that waited for it."""

    rank: ClassVar[int] = 40
    clause: ClassVar[str] = """
        numbered AS (
            INSERT INTO batches (meeting_id, batch, part, parts, job_id)
            SELECT CAST(:batch_meeting AS uuid), CAST(:batch AS int), CAST(:part AS int), CAST(:parts AS int),
                   CAST(:batch_job AS text)
            WHERE {gate}
            ON CONFLICT DO NOTHING
        )"""
    answer: ClassVar[str] = "0 AS numbered"

    meeting_id: MeetingId
    number: BatchNumber
    job_id: str

    def values(self) -> Mapping[str, Any]:
        """The parameters."""
        return {
            "batch_meeting": self.meeting_id,
            "batch": self.number.batch,
            "part": self.number.part,
            "parts": self.number.parts,
            "batch_job": self.job_id,
        }

    def written(self, row: Mapping[str, Any]) -> None:
        """Nothing comes back."""
