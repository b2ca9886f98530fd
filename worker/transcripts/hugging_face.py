"""Read the "chunks" of Hugging Face's Transformers, of insanely-fast-whisper and of their dumps.

A chunk has a text and a pair of seconds, whose second is null where the audio ended within a word. With
return_timestamps="word" each chunk is one word. insanely-fast-whisper repeats the chunks under "speakers" with a
speaker in each.
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
from worker.transcripts.words import HeardWord, segments_of_words

_LONGEST_MEAN = 6


class _Chunk(msgspec.Struct):
    text: str
    timestamp: tuple[float | None, float | None] | None = None
    start: float | None = None
    end: float | None = None
    speaker: str | int | None = None
    language: str | None = None

    @property
    def times(self) -> tuple[float | None, float | None]:
        return self.timestamp or (self.start, self.end)


class _Document(msgspec.Struct):
    chunks: list[_Chunk]
    speakers: list[_Chunk] | None = None
    text: str | None = None
    language: str | None = None


def is_hugging_face(document: Any) -> bool:
    """Whether the document has a list of chunks."""
    return isinstance(document, dict) and isinstance(document.get("chunks"), list)


def read_hugging_face(document: Any, source: str, on_progress: OnProgress = unheard) -> list[TranscriptSegment]:
    """Return a segment a chunk; of chunks that are words, the segments that they make."""
    whole = shaped(document, _Document, source)
    # A diarizer may end before the talk does; the chunks that it did not reach stand under "chunks" alone.
    has_all = whole.speakers and (not whole.chunks or _text_of(whole.speakers) == _text_of(whole.chunks))
    field, chunks = ("speakers", whole.speakers) if whole.speakers and has_all else ("chunks", whole.chunks)
    if not any(one_line(chunk.text) for chunk in chunks):
        if (whole.text or "").strip():
            problem = "has a text without times; call the pipeline with return_timestamps=True"
            raise TranscriptError(source, problem, field="text")
        return []
    if _are_words(chunks):
        words = [HeardWord(chunk.text, *chunk.times, speaker=speaker_name(chunk.speaker)) for chunk in chunks]
        text = whole.text or ("".join(chunk.text for chunk in chunks) if _are_spaced(chunks) else "")
        return segments_of_words(words, text, source, field, whole.language, on_progress)
    starts = [chunk.times[0] for chunk in chunks]
    before_s = 0.0
    segments: list[TranscriptSegment] = []
    for index, chunk in enumerate(counted(chunks, len(chunks), on_progress)):
        start_s, end_s = chunk.times
        start_s = before_s if start_s is None else start_s
        if end_s is None:
            following_s = starts[index + 1] if index + 1 < len(starts) else None
            end_s = max(start_s, following_s or start_s)
        before_s = end_s
        segments.extend(_segment(chunk, start_s, end_s, whole.language, source, f"{field}[{index}]"))
    return segments


def _text_of(chunks: Sequence[_Chunk]) -> str:
    return "".join("".join(chunk.text.split()) for chunk in chunks)


def _segment(
    chunk: _Chunk, start_s: float, end_s: float, language: str | None, source: str, place: str
) -> list[TranscriptSegment]:
    if not (text := one_line(chunk.text)):
        return []
    with placed(source, place):
        speaker = speaker_name(chunk.speaker)
        return [TranscriptSegment(text, start_s, end_s, speaker, language=chunk.language or language)]


def _are_words(chunks: Sequence[_Chunk]) -> bool:
    """Whether each chunk is one word. Chinese has no blanks, so there only the length is a sign."""
    texts = [one_line(chunk.text) for chunk in chunks]
    if len(texts) < 2 or any(" " in text for text in texts):
        return False
    return _are_spaced(chunks) or sum(map(len, texts)) <= _LONGEST_MEAN * len(texts)


def _are_spaced(chunks: Sequence[_Chunk]) -> bool:
    """Whether the chunks carry their own blanks, as tokens do; otherwise there is one between every two."""
    return any(chunk.text[:1].isspace() or chunk.text[-1:].isspace() for chunk in chunks[1:])
