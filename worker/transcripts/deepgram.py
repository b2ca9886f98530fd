"""Read the answers of Deepgram to a recording.

Utterances are asked for with utterances=true; without them the words of each channel are put together. The first
alternative is what was heard. With several channels each may number its speakers from 0 again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from worker.transcripts.errors import TranscriptError, placed
from worker.transcripts.json_text import shaped
from worker.transcripts.model import TranscriptSegment
from worker.transcripts.progress import OnProgress, counted, unheard
from worker.transcripts.text import one_line, speaker_name
from worker.transcripts.words import HeardWord, probability, segments_of_words, timed_words


class _Word(msgspec.Struct):
    word: str
    start: float | None = None
    end: float | None = None
    confidence: float | None = None
    punctuated_word: str | None = None
    speaker: int | None = None


class _Alternative(msgspec.Struct):
    transcript: str = ""
    words: list[_Word] | None = None


class _Channel(msgspec.Struct):
    alternatives: list[_Alternative]
    detected_language: str | None = None


class _Utterance(msgspec.Struct):
    start: float
    end: float
    transcript: str
    words: list[_Word] | None = None
    confidence: float | None = None
    channel: int | None = None
    speaker: int | None = None


class _Results(msgspec.Struct):
    channels: list[_Channel]
    utterances: list[_Utterance] | None = None


class _Document(msgspec.Struct):
    results: _Results


def is_deepgram(document: Any) -> bool:
    """Whether the document has results in channels."""
    results = document.get("results") if isinstance(document, dict) else None
    return isinstance(results, dict) and isinstance(results.get("channels"), list)


def read_deepgram(document: Any, source: str, on_progress: OnProgress = unheard) -> list[TranscriptSegment]:
    """Return a segment an utterance, or the segments that the words of each channel make."""
    results = shaped(document, _Document, source).results
    several = len(results.channels) > 1
    if results.utterances and _has_every_word(results.utterances, results.channels):
        languages = [channel.detected_language for channel in results.channels]
        return [
            segment
            for index, utterance in enumerate(counted(results.utterances, len(results.utterances), on_progress))
            for segment in _of_utterance(utterance, languages, source, f"results.utterances[{index}]")
        ]
    return [
        segment
        for index, channel in enumerate(results.channels)
        for segment in _of_channel(channel, index if several else None, source, on_progress)
    ]


def _has_every_word(utterances: Sequence[_Utterance], channels: Sequence[_Channel]) -> bool:
    heard = sum(len(channel.alternatives[0].words or ()) for channel in channels if channel.alternatives)
    return sum(len(utterance.words or ()) for utterance in utterances) >= heard


def _of_utterance(
    utterance: _Utterance, languages: Sequence[str | None], source: str, place: str
) -> list[TranscriptSegment]:
    channel = utterance.channel or 0
    heard = [_heard(word, None) for word in utterance.words or ()]
    words = timed_words(heard, utterance.start, utterance.end, source, place)
    if not (text := one_line(utterance.transcript) or " ".join(word.text for word in words)):
        return []
    with placed(source, place):
        return [
            TranscriptSegment(
                text=text,
                start_time=utterance.start,
                end_time=utterance.end,
                speaker=_speaker(channel if len(languages) > 1 else None, utterance.speaker),
                words=words,
                language=languages[channel] if 0 <= channel < len(languages) else None,
                confidence=probability(utterance.confidence),
            )
        ]


def _of_channel(channel: _Channel, number: int | None, source: str, on_progress: OnProgress) -> list[TranscriptSegment]:
    place = f"results.channels[{number or 0}].alternatives[0]"
    if not channel.alternatives:
        return []
    heard = channel.alternatives[0]
    words = [_heard(word, number) for word in heard.words or ()]
    if any(one_line(word.text) for word in words):
        return segments_of_words(words, heard.transcript, source, place, channel.detected_language, on_progress)
    if heard.transcript.strip():
        raise TranscriptError(source, "has a text without words and times", place=place, field="transcript")
    return []


def _heard(word: _Word, channel: int | None) -> HeardWord:
    text = word.punctuated_word or word.word
    return HeardWord(text, word.start, word.end, word.confidence, _speaker(channel, word.speaker))


def _speaker(channel: int | None, speaker: int | None) -> str | None:
    names = [f"Channel {channel}" if channel is not None else None, speaker_name(speaker)]
    return ", ".join(name for name in names if name) or None
