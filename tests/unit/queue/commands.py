"""Commands to enqueue: plain ones by hand, and any that may exist by hypothesis."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from hypothesis import strategies as st

from noteflow.domain.checks import LARGEST_INTEGER
from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Segment, Word
from noteflow.domain.value_objects import MeetingId, MeetingState

MEETING = MeetingId(UUID("0192f0c1-7d3a-7c11-9a44-3f6a5b1f0e01"))


def segment(segment_id: int = 0, text: str = "well then", **fields: Any) -> Segment:
    """A segment of MEETING, one second long unless said otherwise."""
    return Segment(MEETING, segment_id, text, **{"start_time": 1.0, "end_time": 2.0} | fields)


def ingest(count: int = 1, **fields: Any) -> IngestSegments:
    """`count` segments of MEETING."""
    return IngestSegments(MEETING, tuple(segment(number, **fields) for number in range(count)))


_texts = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=30)
_shares = st.none() | st.floats(0, 1) | st.sampled_from([0, 1])
_ordinals = st.integers(0, LARGEST_INTEGER)
_spans = st.lists(
    st.floats(0, allow_nan=False, allow_infinity=False) | st.integers(0, 2**53), min_size=2, max_size=2
).map(sorted)
_words = st.builds(lambda text, span, share: Word(text, span[0], span[1], share), _texts, _spans, _shares)
_meetings = st.uuids().map(MeetingId)


@st.composite
def _batches(draw: st.DrawFn) -> IngestSegments:
    meeting_id = draw(_meetings)
    segments = []
    for segment_id in draw(st.lists(_ordinals, min_size=1, max_size=5, unique=True)):
        start_time, end_time = draw(_spans)
        segments.append(
            Segment(
                meeting_id,
                segment_id,
                draw(_texts),
                start_time,
                end_time,
                tuple(draw(st.lists(_words, max_size=3))),
                draw(st.none() | _texts),
                draw(st.none() | _texts),
                draw(_shares),
                draw(_ordinals),
            )
        )
    return IngestSegments(meeting_id, tuple(segments))


commands: st.SearchStrategy[Command] = _batches() | st.builds(
    ChangeMeetingState,
    _meetings,
    st.sampled_from([state for state in MeetingState if state is not MeetingState.CREATED]),
    st.none() | st.integers(1, LARGEST_INTEGER),
)
