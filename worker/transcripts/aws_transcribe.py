"""Read the output of Amazon Transcribe.

It is a list of items: words with times, written as text, and punctuation without. A speaker stands in the item or, in
older files, beside the items under the same start. Older files with several channels have the items of each channel.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from worker.transcripts.errors import TranscriptError
from worker.transcripts.json_text import shaped
from worker.transcripts.model import TranscriptSegment
from worker.transcripts.progress import OnProgress, unheard
from worker.transcripts.words import HeardWord, segments_of_words


class _Alternative(msgspec.Struct):
    content: str
    confidence: float | None = None


class _Item(msgspec.Struct):
    alternatives: list[_Alternative]
    type: str = "pronunciation"
    start_time: float | None = None
    end_time: float | None = None
    speaker_label: str | None = None
    channel_label: str | None = None


class _Label(msgspec.Struct):
    start_time: float
    speaker_label: str


class _LabelledSegment(msgspec.Struct):
    items: list[_Label] = []


class _SpeakerLabels(msgspec.Struct):
    segments: list[_LabelledSegment] = []


class _Channel(msgspec.Struct):
    items: list[_Item]
    channel_label: str | None = None


class _ChannelLabels(msgspec.Struct):
    channels: list[_Channel] = []


class _Transcript(msgspec.Struct):
    transcript: str


class _Results(msgspec.Struct):
    items: list[_Item] = []
    transcripts: list[_Transcript] = []
    speaker_labels: _SpeakerLabels | None = None
    channel_labels: _ChannelLabels | None = None
    language_code: str | None = None


class _Document(msgspec.Struct):
    results: _Results
    status: str | None = None


def is_aws_transcribe(document: Any) -> bool:
    """Whether the document has results with items or transcripts."""
    results = document.get("results") if isinstance(document, dict) else None
    return isinstance(results, dict) and bool(results.keys() & {"items", "transcripts"})


def read_aws_transcribe(document: Any, source: str, on_progress: OnProgress = unheard) -> list[TranscriptSegment]:
    """Return the segments that the items make, channel by channel."""
    results = shaped(document, _Document, source, strict=False).results
    labels = results.speaker_labels.segments if results.speaker_labels else []
    speakers = {label.start_time: label.speaker_label for segment in labels for label in segment.items}
    streams = list(_streams(results))
    if not any(items for _, items in streams) and any(each.transcript.strip() for each in results.transcripts):
        raise TranscriptError(source, "has a text without items and times", place="results", field="transcripts")
    whole = results.transcripts[0].transcript if len(streams) == 1 and results.transcripts else ""
    return [
        segment
        for channel, items in streams
        for segment in _segments(items, channel, speakers, whole, results.language_code, source, on_progress)
    ]


def _streams(results: _Results) -> Iterator[tuple[str | None, Sequence[_Item]]]:
    """Yield the items of each channel with its label; without channels, all of them."""
    channels = results.channel_labels.channels if results.channel_labels else []
    if len(channels) < 2:
        yield None, results.items or (channels[0].items if channels else [])
        return
    for channel in channels:
        yield channel.channel_label, channel.items


def _segments(
    items: Sequence[_Item],
    channel: str | None,
    speakers: Mapping[float, str],
    whole: str,
    language: str | None,
    source: str,
    on_progress: OnProgress,
) -> list[TranscriptSegment]:
    if not (words := _words(items, channel, speakers)):
        return []
    return segments_of_words(words, whole, source, "results.items", language, on_progress)


def _words(items: Sequence[_Item], channel: str | None, speakers: Mapping[float, str]) -> list[HeardWord]:
    """Return the words, each with the punctuation that follows it."""
    words: list[HeardWord] = []
    for spoken in _spoken(items):
        text = "".join(item.alternatives[0].content for item in spoken)
        first, best = spoken[0], spoken[0].alternatives[0]
        label = first.speaker_label or (speakers.get(first.start_time) if first.start_time is not None else None)
        names = ", ".join(name for name in (channel or first.channel_label, label) if name)
        words.append(HeardWord(text, first.start_time, first.end_time, best.confidence, names or None))
    return words


def _spoken(items: Sequence[_Item]) -> list[list[_Item]]:
    spoken: list[list[_Item]] = []
    for item in (item for item in items if item.alternatives):
        if item.type == "punctuation" and spoken:
            spoken[-1].append(item)
        else:
            spoken.append([item])
    return spoken
