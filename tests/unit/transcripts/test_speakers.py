"""Names written into the text."""

from collections.abc import Sequence

import pytest

from worker.transcripts import TranscriptSegment
from worker.transcripts.speakers import with_speakers


def read(texts: Sequence[str]) -> list[tuple[str | None, str]]:
    segments = [TranscriptSegment(text, float(place), place + 1.0) for place, text in enumerate(texts)]
    return [(segment.speaker, segment.text) for segment in with_speakers(segments)]


def test_a_file_labelled_throughout_has_speakers() -> None:
    assert read(["Anna: hi", "Dr. Kim: 10:30 works", "Anna: see https://x.y", "田中: はい"]) == [
        ("Anna", "hi"),
        ("Dr. Kim", "10:30 works"),
        ("Anna", "see https://x.y"),
        ("田中", "はい"),
    ]


@pytest.mark.parametrize(
    "texts",
    [
        ["Anna: hi", "and then we left"],
        ["Note: one line tells nothing"],
        ["Note: we ship", "Decision: on Friday"],
        ["10: 30 past", "10: 45 past"],
        ["We said this, clearly. Then he said: no", "We said this, clearly. Then he said: yes"],
        ["https://a.example", "https://b.example"],
    ],
)
def test_in_doubt_the_text_stays_as_it_is_written(texts: list[str]) -> None:
    assert read(texts) == [(None, text) for text in texts]


def test_a_label_in_brackets_is_a_speaker_wherever_it_stands() -> None:
    assert read(["[SPEAKER_00]: hi", "no label", "[12:30]: a time"]) == [
        ("SPEAKER_00", "hi"),
        (None, "no label"),
        (None, "[12:30]: a time"),
    ]


def test_a_file_that_marks_its_speakers_keeps_colons_in_the_text() -> None:
    marked = [TranscriptSegment("Note: a", 0.0, 1.0, speaker="Ann"), TranscriptSegment("Note: b", 1.0, 2.0)]

    assert with_speakers(marked) == marked
