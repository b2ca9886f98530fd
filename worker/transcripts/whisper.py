"""Reads the JSON of openai-whisper, faster-whisper and whisperX.

The three agree on segments with start, end and text, and differ around them: openai-whisper and whisperX
write an object with "segments"; dumps of faster-whisper are that object, a list of segments, or the pair
(segments, info) that its `transcribe` returns. A word is an object or, in dumps of the older named tuples,
[start, end, word, probability].
"""

import math
from collections.abc import Sequence
from typing import cast

import msgspec

from worker.transcripts.errors import TranscriptError, placed
from worker.transcripts.json_place import explain
from worker.transcripts.model import TranscriptSegment, TranscriptWord
from worker.transcripts.progress import OnProgress, counted, unheard
from worker.transcripts.text import one_line

_WordTuple = tuple[float, float, str, float]


class _Word(msgspec.Struct):
    word: str | None = None
    text: str | None = None
    start: float | None = None
    end: float | None = None
    probability: float | None = None
    score: float | None = None  # whisperX's probability
    confidence: float | None = None  # whisper-timestamped's


class _Segment(msgspec.Struct):
    start: float
    end: float
    text: str
    words: list[_Word | _WordTuple] | None = None
    speaker: str | None = None
    language: str | None = None
    avg_logprob: float | None = None


class _Info(msgspec.Struct):
    language: str | None = None


class _Document(msgspec.Struct):
    segments: list[_Segment]
    language: str | None = None
    info: _Info | None = None


def read_whisper(text: str, source: str, on_progress: OnProgress = unheard) -> list[TranscriptSegment]:
    """The segments of a Whisper JSON text, with words, speakers and confidence where it has them."""
    try:
        document = _decoded(text)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        place, problem = explain(text, error)
        raise TranscriptError(source, problem, place=place) from None
    language = document.language or (document.info.language if document.info else None)
    segments = (
        _segment(segment, language, source, f"segments[{index}]")
        for index, segment in enumerate(counted(document.segments, len(document.segments), on_progress))
    )
    return [segment for segment in segments if segment.text]


def _decoded(text: str) -> _Document:
    if text.lstrip().startswith("{"):
        return msgspec.json.decode(text, type=_Document)
    elements = msgspec.json.decode(text, type=list[msgspec.Raw])
    if elements and bytes(elements[0]).lstrip().startswith(b"["):
        segments, info = msgspec.json.decode(text, type=tuple[list[_Segment], _Info])
        return _Document(segments, info=info)
    return _Document(msgspec.json.decode(text, type=list[_Segment]))


def _segment(segment: _Segment, language: str | None, source: str, place: str) -> TranscriptSegment:
    words = _words(segment, source, place)
    with placed(source, place):
        return TranscriptSegment(
            text=one_line(segment.text),
            start_time=segment.start,
            end_time=segment.end,
            speaker=one_line(segment.speaker or "") or None,
            words=words,
            language=segment.language or language,
            confidence=_confidence(segment.avg_logprob, words),
        )


def _words(segment: _Segment, source: str, place: str) -> tuple[TranscriptWord, ...]:
    """The words with something in them.

    An aligner gives no times to what it could not place ("2026", "€"): such a word gets the gap between its
    neighbours.
    """
    words = [word if isinstance(word, _Word) else _named(word) for word in segment.words or ()]
    following = _following_starts(words)
    timed: list[TranscriptWord] = []
    before_s = segment.start
    for index, (word, next_s) in enumerate(zip(words, following, strict=True)):
        start_s = before_s if word.start is None else word.start
        gap_ends_s = max(start_s, segment.end) if next_s is None else next_s
        end_s = gap_ends_s if word.end is None else word.end
        known = (word.probability, word.score, word.confidence)
        probability = next((value for value in known if value is not None), None)
        with placed(source, place, within=f"words[{index}]."):
            timed.append(TranscriptWord(one_line(word.word or word.text or ""), start_s, end_s, probability))
        before_s = end_s
    return tuple(word for word in timed if word.text)


def _named(word: _WordTuple) -> _Word:
    start, end, text, probability = word
    return _Word(word=text, start=start, end=end, probability=probability)


def _following_starts(words: Sequence[_Word]) -> list[float | None]:
    """For each word, when the next one that has a time begins."""
    starts: list[float | None] = []
    next_s: float | None = None
    for word in reversed(words):
        starts.append(next_s)
        next_s = next_s if word.start is None else word.start
    return starts[::-1]


def _confidence(avg_logprob: float | None, words: Sequence[TranscriptWord]) -> float | None:
    """The mean probability of a token as the model tells it, otherwise of the words, otherwise None."""
    if avg_logprob is not None:
        return math.exp(min(avg_logprob, 0.0))
    if words and all(word.probability is not None for word in words):
        return sum(cast("float", word.probability) for word in words) / len(words)
    return None
