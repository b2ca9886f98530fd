"""From a transcript to the segments of a meeting."""

from __future__ import annotations

from noteflow.domain.entities import Segment, Word
from noteflow.domain.value_objects import MeetingId
from worker.transcripts.model import Transcript


def segments_of(transcript: Transcript, meeting_id: MeetingId) -> tuple[Segment, ...]:
    """The transcript's segments as this meeting's, numbered from 0 in the order in which they begin.

    The same file gives the same numbers, so saying it twice stores it once.
    """
    return tuple(
        Segment(
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
        for number, segment in enumerate(transcript.segments)
    )
