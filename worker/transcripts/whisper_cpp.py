"""Read the JSON of whisper.cpp: `--output-json`, and `--output-json-full` with its tokens."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import msgspec

from worker.transcripts.errors import placed
from worker.transcripts.json_text import finite, shaped
from worker.transcripts.model import TranscriptSegment, TranscriptWord
from worker.transcripts.progress import OnProgress, counted, unheard
from worker.transcripts.text import one_line, speaker_name
from worker.transcripts.words import HeardWord, mean_probability, timed_words

# Marks of the model, as [_BEG_], [_TT_550] and <|endoftext|>.
_MARK = re.compile(r"\[_[A-Z_0-9]+\]|<\|[^|]*\|>")


class _Offsets(msgspec.Struct):
    """Milliseconds."""

    from_: float = msgspec.field(name="from")
    to: float


class _Token(msgspec.Struct):
    text: str
    offsets: _Offsets | None = None
    p: float | None = None


class _Segment(msgspec.Struct):
    offsets: _Offsets
    text: str
    tokens: list[_Token] | None = None
    speaker: str | int | None = None


class _Result(msgspec.Struct):
    language: str | None = None


class _Document(msgspec.Struct):
    transcription: list[_Segment]
    result: _Result | None = None


def is_whisper_cpp(document: Any) -> bool:
    """Whether the document has whisper.cpp's list of segments."""
    return isinstance(document, dict) and isinstance(document.get("transcription"), list)


def read_whisper_cpp(document: Any, source: str, on_progress: OnProgress = unheard) -> list[TranscriptSegment]:
    """Return the segments, with the words of their tokens where the document has tokens."""
    whole = shaped(document, _Document, source)
    language = whole.result.language if whole.result else None
    segments = [
        _segment(segment, language, source, f"transcription[{index}]")
        for index, segment in enumerate(counted(whole.transcription, len(whole.transcription), on_progress))
    ]
    return [segment for segment in segments if segment.text]


def _segment(segment: _Segment, language: str | None, source: str, place: str) -> TranscriptSegment:
    text, start_s, end_s = one_line(segment.text), segment.offsets.from_ / 1000, segment.offsets.to / 1000
    words = timed_words(list(_words(segment.tokens or ())), start_s, end_s, source, place)
    if not _are_the_words_of(text, words):
        words = ()
    with placed(source, place):
        return TranscriptSegment(
            text=text,
            start_time=start_s,
            end_time=end_s,
            # "?" where both channels were equally loud.
            speaker=None if segment.speaker in (None, "", "?") else speaker_name(_number(segment.speaker)),
            words=words,
            language=language,
            confidence=mean_probability(words),
        )


def _words(tokens: Sequence[_Token]) -> Iterator[HeardWord]:
    """Yield the tokens put together: one that begins with a blank begins a word."""
    together: list[_Token] = []
    for token in tokens:
        if _MARK.fullmatch(token.text):
            continue
        if token.text.startswith(" ") and together:
            yield _word(together)
            together = []
        together.append(token)
    if together:
        yield _word(together)


def _word(tokens: Sequence[_Token]) -> HeardWord:
    first, last = tokens[0].offsets, tokens[-1].offsets
    known = [p for p in (finite(token.p) for token in tokens) if p is not None]
    return HeardWord(
        text=_rejoined("".join(token.text for token in tokens)),
        start=first.from_ / 1000 if first else None,
        end=last.to / 1000 if last else None,
        probability=sum(known) / len(known) if len(known) == len(tokens) else None,
    )


def _rejoined(text: str) -> str:
    """Put the bytes of a character together that was cut between tokens; the file was decoded with surrogateescape."""
    try:
        return text.encode(errors="surrogateescape").decode()
    except UnicodeError:
        return text


def _are_the_words_of(text: str, words: Sequence[TranscriptWord]) -> bool:
    return "".join(word.text for word in words).replace(" ", "") == text.replace(" ", "")


def _number(speaker: str | int | None) -> str | int | None:
    return int(speaker) if isinstance(speaker, str) and speaker.isdecimal() and len(speaker) < 5 else speaker
