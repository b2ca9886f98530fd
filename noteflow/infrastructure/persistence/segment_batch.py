"""Many segments as one statement."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

import msgspec
from sqlalchemy import CursorResult, Executable, TextClause, text

from noteflow.domain.entities import Segment
from noteflow.domain.ports import Tally


class SegmentBatch:
    """Segments waiting to be stored, each at most once, and the tally of those that were."""

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

    def statement(self) -> tuple[Executable, Mapping[str, Any]] | None:
        """The statement that stores all that waits, in an order that cannot deadlock with another batch."""
        if not self._waiting:
            return None
        waiting = [self._waiting[key] for key in sorted(self._waiting)]
        self._waiting.clear()
        self._sent = len(waiting)
        return store_segments(), columns_of(waiting)

    def written(self, result: CursorResult[Any]) -> None:
        """Add what the statement stored to the tally."""
        counted = result.one()
        self.tally.stored += counted.stored
        self.tally.replaced += counted.replaced
        self.tally.unchanged += self._sent - counted.stored - counted.replaced


def store_segments() -> TextClause:
    """Store columns of segments. One text for every number of rows, so it is prepared once a connection.

    `segment_replaces` (of the migrations) compares with the row as it is at that moment, under its lock: a lower
    revision is left alone, equal content too, and other content of the same revision ends the statement with nothing
    stored. `xmax` is zero in a row that was inserted.
    """
    return text("""
        WITH written AS (
            INSERT INTO segments AS stored (meeting_id, segment_id, revision, start_time, end_time, text, words,
                                            speaker, language, confidence)
            SELECT meeting_id, segment_id, revision, start_time, end_time, text, words::jsonb,
                   speaker, language, confidence
            FROM unnest(CAST(:meeting_id AS uuid[]), CAST(:segment_id AS int[]), CAST(:revision AS int[]),
                        CAST(:start_time AS float8[]), CAST(:end_time AS float8[]), CAST(:text AS text[]),
                        CAST(:words AS text[]), CAST(:speaker AS text[]), CAST(:language AS text[]),
                        CAST(:confidence AS float8[]))
                 AS given (meeting_id, segment_id, revision, start_time, end_time, text, words,
                           speaker, language, confidence)
            ON CONFLICT (meeting_id, segment_id) DO UPDATE SET
                revision = excluded.revision, start_time = excluded.start_time, end_time = excluded.end_time,
                text = excluded.text, words = excluded.words, speaker = excluded.speaker,
                language = excluded.language, confidence = excluded.confidence, stored_at = excluded.stored_at
            WHERE segment_replaces(stored, excluded)
            RETURNING xmax = 0 AS fresh
        )
        SELECT count(*) FILTER (WHERE fresh) AS stored, count(*) FILTER (WHERE NOT fresh) AS replaced FROM written
    """)


def columns_of(rows: list[Segment]) -> dict[str, list[Any]]:
    """The segments as one list a column."""
    encode = msgspec.json.Encoder().encode
    return {
        "meeting_id": [row.meeting_id for row in rows],
        "segment_id": [row.segment_id for row in rows],
        "revision": [row.revision for row in rows],
        "start_time": [row.start_time for row in rows],
        "end_time": [row.end_time for row in rows],
        "text": [row.text for row in rows],
        "words": [
            encode([(word.text, word.start, word.end, word.probability) for word in row.words]).decode()
            if row.words
            else None
            for row in rows
        ],
        "speaker": [row.speaker for row in rows],
        "language": [row.language for row in rows],
        "confidence": [row.confidence for row in rows],
    }
