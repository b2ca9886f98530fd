"""Read AssemblyAI's transcripts, and its answers with sentences or paragraphs. Times are in milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from worker.transcripts.errors import TranscriptError, placed
from worker.transcripts.json_text import shaped
from worker.transcripts.model import TranscriptSegment
from worker.transcripts.progress import OnProgress, counted, unheard
from worker.transcripts.text import one_line
from worker.transcripts.words import HeardWord, probability, segments_of_words, timed_words

_PARTS = ("utterances", "sentences", "paragraphs")


class _Word(msgspec.Struct):
    text: str
    start: float | None = None
    end: float | None = None
    confidence: float | None = None
    speaker: str | None = None
    channel: str | int | None = None


class _Part(msgspec.Struct):
    text: str
    start: float
    end: float
    words: list[_Word] | None = None
    confidence: float | None = None
    speaker: str | None = None
    channel: str | int | None = None


class _Document(msgspec.Struct):
    text: str | None = None
    status: str | None = None
    words: list[_Word] | None = None
    utterances: list[_Part] | None = None
    sentences: list[_Part] | None = None
    paragraphs: list[_Part] | None = None
    language_code: str | None = None


def is_assemblyai(document: Any) -> bool:
    """Whether the document has an audio's duration or address beside words, utterances, sentences or paragraphs."""
    return (
        isinstance(document, dict)
        and bool(document.keys() & {"audio_duration", "audio_url"})
        and bool(document.keys() & {*_PARTS, "words", "status"})
    )


def read_assemblyai(document: Any, source: str, on_progress: OnProgress = unheard) -> list[TranscriptSegment]:
    """Return a segment an utterance, sentence or paragraph; without any, the segments that the words make."""
    whole = shaped(document, _Document, source)
    if whole.status not in (None, "completed"):
        raise TranscriptError(source, "is a transcript that is not completed; fetch it again later", field="status")
    for field in _PARTS:
        parts: Sequence[_Part] = getattr(whole, field) or ()
        if parts and sum(len(part.words or ()) for part in parts) >= len(whole.words or ()):
            return [
                segment
                for index, part in enumerate(counted(parts, len(parts), on_progress))
                for segment in _of_part(part, whole.language_code, source, f"{field}[{index}]")
            ]
    words = [_heard(word) for word in whole.words or ()]
    if any(one_line(word.text) for word in words):
        return segments_of_words(words, whole.text or "", source, "", whole.language_code, on_progress)
    if (whole.text or "").strip():
        raise TranscriptError(source, "has a text without words and times", field="text")
    return []


def _of_part(part: _Part, language: str | None, source: str, place: str) -> list[TranscriptSegment]:
    start_s, end_s = part.start / 1000, part.end / 1000
    words = timed_words([_heard(word) for word in part.words or ()], start_s, end_s, source, place)
    if not (text := one_line(part.text) or " ".join(word.text for word in words)):
        return []
    with placed(source, place):
        speaker, confidence = _speaker(part), probability(part.confidence)
        return [TranscriptSegment(text, start_s, end_s, speaker, words, language, confidence)]


def _heard(word: _Word) -> HeardWord:
    start_s, end_s = (None if ms is None else ms / 1000 for ms in (word.start, word.end))
    return HeardWord(word.text, start_s, end_s, word.confidence, _speaker(word))


def _speaker(of: _Part | _Word) -> str | None:
    """Return "Speaker A" or "Channel 1": AssemblyAI labels speakers with letters, channels with numbers."""
    speaker = one_line(of.speaker or "")
    if of.channel is not None and speaker in ("", str(of.channel)):
        return f"Channel {of.channel}"
    return f"Speaker {speaker}" if len(speaker) == 1 else speaker or None
