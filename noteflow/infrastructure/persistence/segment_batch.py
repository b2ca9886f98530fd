"""Many segments of a meeting as one write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from noteflow.domain.entities import Segment
from noteflow.domain.ports import Tally
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.persistence.statement import Hopeful

_COLUMNS = "meeting_id, segment_id, revision, start_time, end_time, text, words, speaker, language, confidence, late"
_GIVEN = """
            SELECT CAST(:meeting AS uuid), segment_id, coalesce(revision, 0), start_time, end_time, text, words,
                   speaker, language, confidence,
                   coalesce((SELECT state = 'COMPLETED' FROM meetings WHERE id = CAST(:meeting AS uuid)), false)
            FROM json_to_recordset(CAST(:segments AS json))
                 AS given (segment_id int, revision int, start_time float8, end_time float8, text text, words jsonb,
                           speaker text, language text, confidence float8)"""
_FEW = 16


class SegmentBatch(Hopeful):
    """Segments of one meeting waiting to be stored, each at most once, and the tally of all that were.

    `segment_replaces` (of the migrations) compares with the row as it is at that moment, under its lock: a lower
    revision is left alone, equal content too, and other content of the same revision ends the statement with nothing
    stored. `xmax` is zero in a row that was inserted. Rows go in the order of their keys, so that two batches cannot
    deadlock. They travel as one JSON text: measured beside nine arrays, server and worker together take a tenth less.

    A row that looks out for another costs the server a fifth more than one that does not. So a batch of many that
    corrects nothing hopes that none of it is stored.
    """

    rank: ClassVar[int] = 30
    clause: ClassVar[str] = f"""
        written AS (
            INSERT INTO segments AS stored ({_COLUMNS}){_GIVEN}
            WHERE {{gate}}
            ON CONFLICT (meeting_id, segment_id) DO UPDATE SET
                revision = excluded.revision, start_time = excluded.start_time, end_time = excluded.end_time,
                text = excluded.text, words = excluded.words, speaker = excluded.speaker,
                language = excluded.language, confidence = excluded.confidence, late = excluded.late,
                stored_at = excluded.stored_at
            WHERE segment_replaces(stored, excluded)
            RETURNING xmax = 0 AS fresh
        )"""
    answer: ClassVar[str] = """
        (SELECT count(*) FROM written WHERE fresh) AS segments_stored,
        (SELECT count(*) FROM written WHERE NOT fresh) AS segments_replaced"""
    hopeful_clause: ClassVar[str] = f"""
        hoped AS (
            INSERT INTO segments ({_COLUMNS}){_GIVEN}
            WHERE {{gate}}
        )"""
    hopeful_answer: ClassVar[str] = """
        CASE WHEN {gate} THEN CAST(:sent AS int) ELSE 0 END AS segments_stored, 0 AS segments_replaced"""

    def __init__(self) -> None:
        self.tally = Tally()
        self._meeting_id: MeetingId | None = None
        self._waiting: dict[int, Segment] = {}
        self._corrects = False
        self._sent = 0

    def collect(self, segment: Segment) -> bool:
        """Let it wait for the statement; False if it waits already, in whatever revision, or another meeting's do."""
        if not self._waiting:
            self._meeting_id = segment.meeting_id
        elif segment.meeting_id != self._meeting_id:
            return False
        self._corrects |= segment.revision > 0
        return self._waiting.setdefault(segment.segment_id, segment) is segment

    def forget(self) -> None:
        """Let nothing wait any more."""
        self._waiting.clear()
        self._corrects = False

    @property
    def pays(self) -> bool:
        """Whether to hope: a correction has something to correct, and of a few rows there is little to save."""
        return len(self._waiting) > _FEW and not self._corrects

    def values(self) -> Mapping[str, Any]:
        """All that waits, as one JSON text. Collecting begins anew."""
        records = [_record(self._waiting[segment_id]) for segment_id in sorted(self._waiting)]
        self._sent = len(records)
        self.forget()
        text = msgspec.json.encode(records).decode()
        return {"meeting": self._meeting_id, "segments": text, "sent": self._sent}

    def written(self, row: Mapping[str, Any]) -> None:
        """Add what the statement stored to the tally."""
        stored, replaced = row["segments_stored"], row["segments_replaced"]
        self.tally.stored += stored
        self.tally.replaced += replaced
        self.tally.unchanged += self._sent - stored - replaced


def _record(segment: Segment) -> dict[str, Any]:
    record: dict[str, Any] = {
        "segment_id": segment.segment_id,
        "start_time": segment.start_time,
        "end_time": segment.end_time,
        "text": segment.text,
    }
    if segment.revision:
        record["revision"] = segment.revision
    if segment.words:
        record["words"] = [(word.text, word.start, word.end, word.probability) for word in segment.words]
    if segment.speaker is not None:
        record["speaker"] = segment.speaker
    if segment.language is not None:
        record["language"] = segment.language
    if segment.confidence is not None:
        record["confidence"] = segment.confidence
    return record
