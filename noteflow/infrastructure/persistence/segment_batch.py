"""Many segments as one write."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

import msgspec

from noteflow.domain.entities import Segment
from noteflow.domain.ports import Tally


class SegmentBatch:
    """Segments waiting to be stored, each at most once, and the tally of those that were.

    `segment_replaces` (of the migrations) compares with the row as it is at that moment, under its lock: a lower
    revision is left alone, equal content too, and other content of the same revision ends the statement with nothing
    stored. `xmax` is zero in a row that was inserted. Rows go in the order of their keys, so that two batches cannot
    deadlock.
    """

    rank: ClassVar[int] = 30
    clause: ClassVar[str] = """
        written AS (
            INSERT INTO segments AS stored (meeting_id, segment_id, revision, start_time, end_time, text, words,
                                            speaker, language, confidence, late)
            SELECT meeting_id, segment_id, revision, start_time, end_time, text, words::jsonb,
                   speaker, language, confidence,
                   coalesce((SELECT state = 'COMPLETED' FROM meetings WHERE id = meeting_id), false)
            FROM unnest(CAST(:meeting_ids AS uuid[]), CAST(:segment_ids AS int[]), CAST(:revisions AS int[]),
                        CAST(:start_times AS float8[]), CAST(:end_times AS float8[]), CAST(:texts AS text[]),
                        CAST(:words AS text[]), CAST(:speakers AS text[]), CAST(:languages AS text[]),
                        CAST(:confidences AS float8[]))
                 AS given (meeting_id, segment_id, revision, start_time, end_time, text, words,
                           speaker, language, confidence)
            WHERE {gate}
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

    def __init__(self) -> None:
        self.tally = Tally()
        self._waiting: dict[tuple[UUID, int], Segment] = {}
        self._sent = 0

    def holds(self, segment: Segment) -> bool:
        """Whether this segment, in whatever revision, waits here already."""
        return (segment.meeting_id, segment.segment_id) in self._waiting

    def collect(self, segment: Segment) -> None:
        """Let it wait for the statement."""
        self._waiting[segment.meeting_id, segment.segment_id] = segment

    def forget(self) -> None:
        """Let nothing wait any more."""
        self._waiting.clear()

    def values(self) -> Mapping[str, Any]:
        """All that waits, as one list a column. Collecting begins anew."""
        rows = [self._waiting[key] for key in sorted(self._waiting)]
        self._waiting.clear()
        self._sent = len(rows)
        return _columns(rows)

    def written(self, row: Mapping[str, Any]) -> None:
        """Add what the statement stored to the tally."""
        stored, replaced = row["segments_stored"], row["segments_replaced"]
        self.tally.stored += stored
        self.tally.replaced += replaced
        self.tally.unchanged += self._sent - stored - replaced


def _columns(rows: list[Segment]) -> dict[str, list[Any]]:
    encode = msgspec.json.Encoder().encode
    return {
        "meeting_ids": [row.meeting_id for row in rows],
        "segment_ids": [row.segment_id for row in rows],
        "revisions": [row.revision for row in rows],
        "start_times": [row.start_time for row in rows],
        "end_times": [row.end_time for row in rows],
        "texts": [row.text for row in rows],
        "words": [
            encode([(word.text, word.start, word.end, word.probability) for word in row.words]).decode()
            if row.words
            else None
            for row in rows
        ],
        "speakers": [row.speaker for row in rows],
        "languages": [row.language for row in rows],
        "confidences": [row.confidence for row in rows],
    }
