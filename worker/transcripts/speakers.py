"""Tells a speaker's name from what the speaker said, where a file has no mark-up for it."""

import re
from collections.abc import Sequence
from dataclasses import replace

from worker.transcripts.model import TranscriptSegment

# Up to four words that begin with a letter: "Anna", "Dr. Kim", "SPEAKER_00", "田中". No digit first (10:30),
# no sentence before the colon, and a blank after it (https://…).
_LABEL = re.compile(r"([^\W\d_][\w.'’()-]*(?: [\w.'’()-]+){0,3}): +(?=\S)")
# Diarizers write the name in brackets; nobody speaks like that, so one alone is enough.
_BRACKETED = re.compile(r"\[([^\W\d_][^\]\[]{0,59})\]: *(?=\S)")
_LONGEST_LABEL = 40


def with_speakers(segments: Sequence[TranscriptSegment]) -> list[TranscriptSegment]:
    """The segments with "NAME: text" taken apart, if the whole file is written so; otherwise as they came.

    "Note: we ship on Friday" is a sentence, "Anna: we ship on Friday" is a speaker, and a single line
    cannot tell which. A file can: the label counts only when *every* segment has one and some label comes
    back. A bracketed label, "[SPEAKER_00]: …", always counts. In doubt the text stays as it is written: a
    label too many in the text loses nothing, a word taken for a speaker does.
    """
    return [_apart(segment, _BRACKETED) for segment in _labelled(segments)]


def _labelled(segments: Sequence[TranscriptSegment]) -> Sequence[TranscriptSegment]:
    if any(segment.speaker is not None for segment in segments):
        return segments
    labels = [_label(segment.text) for segment in segments]
    every_one_has_a_label = all(labels)
    some_label_comes_back = len(set(labels)) < len(labels)
    if every_one_has_a_label and some_label_comes_back:
        return [_apart(segment, _LABEL) for segment in segments]
    return segments


def _label(text: str) -> str | None:
    match = _LABEL.match(text)
    return match[1] if match and len(match[1]) <= _LONGEST_LABEL else None


def _apart(segment: TranscriptSegment, pattern: re.Pattern[str]) -> TranscriptSegment:
    match = pattern.match(segment.text)
    if match is None or segment.speaker is not None:
        return segment
    return replace(segment, speaker=match[1].strip(), text=segment.text[match.end() :])
