"""Read the JSON of the Whisper family.

openai-whisper, OpenAI's API, faster-whisper, WhisperX, stable-ts and whisper-timestamped agree on segments with
start, end and text, and differ around them:

- most write an object with "segments"; dumps of faster-whisper are that object, a list of segments, or the pair
  (segments, info) that its `transcribe` returns;
- words stand in their segment, or, in OpenAI's verbose_json, beside the segments, or there are words only;
- a word is an object or, in dumps of older named tuples, [start, end, word, probability];
- OpenAI's diarized_json has a speaker in each segment.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

import msgspec

from worker.transcripts.errors import TranscriptError, placed
from worker.transcripts.json_text import finite, shaped
from worker.transcripts.model import TranscriptSegment, TranscriptWord
from worker.transcripts.progress import OnProgress, counted, unheard
from worker.transcripts.text import one_line, speaker_name
from worker.transcripts.words import HeardWord, mean_probability, segments_of_words, timed_words

_WordTuple = tuple[float, float, str, float]


class _Word(msgspec.Struct):
    word: str | None = None
    text: str | None = None
    start: float | None = None
    end: float | None = None
    probability: float | None = None
    score: float | None = None  # WhisperX's probability
    confidence: float | None = None  # whisper-timestamped's
    speaker: str | int | None = None


class _Segment(msgspec.Struct):
    start: float
    end: float
    text: str
    words: list[_Word | _WordTuple] | None = None
    speaker: str | int | None = None
    language: str | None = None
    avg_logprob: float | None = None


class _Info(msgspec.Struct):
    language: str | None = None


class _Document(msgspec.Struct):
    segments: list[_Segment] | None = None
    words: list[_Word] | None = None
    text: str | None = None
    language: str | None = None
    info: _Info | None = None


def is_whisper(document: Any) -> bool:
    """Whether the document is an object with segments or words, a list of segments, or the pair (segments, info)."""
    if isinstance(document, list):
        return not document or isinstance(document[0], dict) or _is_pair(document)
    return isinstance(document, dict) and ("segments" in document or isinstance(document.get("words"), list))


def read_whisper(document: Any, source: str, on_progress: OnProgress = unheard) -> list[TranscriptSegment]:
    """Return the segments with words, speakers, language and confidence where the document has them."""
    whole = _shaped(document, source)
    language = whole.language or (whole.info.language if whole.info else None)
    if not whole.segments:
        return _of_words(whole, language, source, on_progress)
    beside = _words_beside(whole.segments, whole.words or ())
    segments = [
        _segment(segment, words, language, source, f"segments[{index}]")
        for index, (segment, words) in enumerate(
            counted(zip(whole.segments, beside, strict=True), len(whole.segments), on_progress)
        )
    ]
    return [segment for segment in segments if segment.text]


def _shaped(document: Any, source: str) -> _Document:
    if isinstance(document, dict):
        return shaped(document, _Document, source)
    if _is_pair(document):
        segments, info = shaped(document, tuple[list[_Segment], _Info], source)
        return _Document(segments, info=info)
    return _Document(shaped(document, list[_Segment], source))


def _is_pair(document: list[Any]) -> bool:
    return len(document) == 2 and isinstance(document[0], list) and isinstance(document[1], dict)


def _of_words(whole: _Document, language: str | None, source: str, on_progress: OnProgress) -> list[TranscriptSegment]:
    text, words = whole.text or "", [_heard(word) for word in whole.words or ()]
    if any(one_line(word.text) for word in words):
        return segments_of_words(words, text, source, "", language, on_progress)
    if text.strip():
        problem = "has a text without times; ask the recognizer for segments (OpenAI: response_format=verbose_json)"
        raise TranscriptError(source, problem, field="text")
    return []


def _words_beside(segments: Sequence[_Segment], words: Sequence[_Word]) -> list[list[_Word | _WordTuple]]:
    """Return the words of each segment: its own, or those beside the segments whose middle lies in its time.

    A word between two segments belongs to the earlier one, a word before the first to the first.
    """
    own = [list(segment.words or ()) for segment in segments]
    if any(own):
        return own
    order = sorted(range(len(segments)), key=lambda index: segments[index].start)
    starts = [segments[index].start for index in order]
    before_s = 0.0
    for word in words:
        begin_s = before_s if word.start is None else word.start
        end_s = begin_s if word.end is None else word.end
        at = bisect_right(starts, (begin_s + end_s) / 2) - 1
        own[order[max(at, 0)]].append(word)
        before_s = begin_s
    return own


def _segment(
    segment: _Segment, words: Sequence[_Word | _WordTuple], language: str | None, source: str, place: str
) -> TranscriptSegment:
    heard = [_heard(word) for word in words]
    timed = timed_words(heard, segment.start, segment.end, source, place)
    with placed(source, place):
        return TranscriptSegment(
            text=one_line(segment.text) or " ".join(word.text for word in timed),
            start_time=segment.start,
            end_time=segment.end,
            speaker=speaker_name(segment.speaker) or _one_speaker(heard),
            words=timed,
            language=segment.language or language,
            confidence=_confidence(segment.avg_logprob, timed),
        )


def _one_speaker(words: Sequence[HeardWord]) -> str | None:
    """Return the speaker of the words where they have the same."""
    speakers = {word.speaker for word in words}
    return speakers.pop() if len(speakers) == 1 else None


def _heard(word: _Word | _WordTuple) -> HeardWord:
    if not isinstance(word, _Word):
        start, end, text, probability = word
        return HeardWord(text, start, end, probability)
    known = (finite(value) for value in (word.probability, word.score, word.confidence))
    probable = next((value for value in known if value is not None), None)
    return HeardWord(word.word or word.text or "", word.start, word.end, probable, speaker_name(word.speaker))


def _confidence(avg_logprob: float | None, words: Sequence[TranscriptWord]) -> float | None:
    """Return the mean probability of a token as the model has it, otherwise of the words, otherwise None."""
    if avg_logprob is not None:
        return math.exp(min(avg_logprob, 0.0))
    return mean_probability(words)
