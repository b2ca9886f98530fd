"""From a transcript to the segments of a meeting."""

from __future__ import annotations

from collections.abc import Iterator

from noteflow.domain.commands import MOST_SEGMENTS_PER_JOB
from noteflow.domain.entities import Segment, Word
from noteflow.domain.value_objects import MeetingId
from worker.transcripts.model import Transcript, TranscriptSegment


def segments_of(transcript: Transcript, meeting_id: MeetingId) -> tuple[Segment, ...]:
    """The transcript's segments as this meeting's, numbered from 0 in the order in which they begin.

    The same file gives the same numbers, so saying it twice stores it once.
    """
    return tuple(segment for batch in batches_of(transcript, meeting_id) for segment in batch)


def batches_of(transcript: Transcript, meeting_id: MeetingId) -> Iterator[tuple[Segment, ...]]:
    """The same segments in their order, as many at a time as a job may carry, so that few are in memory at once."""
    for begin in range(0, len(transcript.segments), MOST_SEGMENTS_PER_JOB):
        together = transcript.segments[begin : begin + MOST_SEGMENTS_PER_JOB]
        yield tuple(_segment(segment, number, meeting_id) for number, segment in enumerate(together, start=begin))


def _segment(segment: TranscriptSegment, number: int, meeting_id: MeetingId) -> Segment:
    return Segment(
        meeting_id=meeting_id,
        segment_id=number,
        text=segment.text,
        start_time=segment.start_time,
        end_time=segment.end_time,
        words=tuple(Word(word.text, word.start_time, word.end_time, word.probability) for word in segment.words),
        speaker=segment.speaker,
        language=segment.language,
        confidence=segment.confidence,
    )
