"""From a file to a transcript: its encoding and its format are seen from its content, never from its name."""

from __future__ import annotations

import codecs
from collections.abc import Sequence
from pathlib import Path

from worker.transcripts.errors import TranscriptError, placed
from worker.transcripts.formats import ACCEPTED, BINARY, DOCUMENTS, PLAIN_TEXTS, TEXTS, Titled, first_match
from worker.transcripts.json_text import parse_json
from worker.transcripts.model import Transcript, TranscriptSegment
from worker.transcripts.progress import OnProgress, unheard

_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
# Ten hours with every token of whisper.cpp are some 50 MB. A recording is not read into memory to be refused.
_MOST_BYTES = 256 * 1024 * 1024
_HEAD_BYTES = 1024 * 1024


def read_transcript(path: Path, on_progress: OnProgress = unheard) -> Transcript:
    """Return the transcript in the file at `path`, which holds one segment at least.

    TranscriptError names place and field of what cannot be read.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_HEAD_BYTES)
            if first_match(content, BINARY) is None:
                content += file.read(_MOST_BYTES + 1 - _HEAD_BYTES)
    except OSError as error:
        raise TranscriptError(str(path), f"cannot be opened: {error.strerror}") from error
    transcript = parse_transcript(content, str(path), on_progress)
    if not transcript.segments:
        raise TranscriptError(transcript.source, "holds no segment")
    return transcript


def parse_transcript(content: bytes, source: str, on_progress: OnProgress = unheard) -> Transcript:
    """Return the transcript in `content`.

    `source` names it in errors, and gives the title where the content has none. `on_progress` is called with how
    many of its cues, segments or words are read. TranscriptError names what cannot be read; a format that is known
    but not read is named with a way to get one that is.
    """
    title, segments = _read(content, source, on_progress)
    with placed(source, "line 1"):
        return Transcript(title or _title_from(source), source, _ordered(segments))


def _read(content: bytes, source: str, on_progress: OnProgress) -> Titled:
    if unread := first_match(content, BINARY):
        unread.read(content, source, on_progress)
    if len(content) > _MOST_BYTES:
        raise TranscriptError(source, f"holds more than {_MOST_BYTES >> 20} MiB")
    text = _decoded(content, source)
    if found := first_match(text, TEXTS):
        return found.read(text, source, on_progress)
    if text.lstrip().startswith(("{", "[")):
        document = parse_json(text, source)
        if found_in := first_match(document, DOCUMENTS):
            return found_in.read(document, source, on_progress)
    elif plain := first_match(text, PLAIN_TEXTS):
        plain.read(text, source, on_progress)
    raise TranscriptError(source, f"is none of: {ACCEPTED}" if text.strip() else "is empty")


def _decoded(content: bytes, source: str) -> str:
    """Return the content as text: UTF-8, with or without its mark, or UTF-16 with one."""
    encoding = "utf-16" if content.startswith(_UTF_16_MARKS) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        if b'"transcription"' in content and content.lstrip().startswith(b"{"):
            # whisper.cpp cuts characters between tokens. What belongs to no token is refused later.
            return content.decode(errors="surrogateescape")
        name = "UTF-16" if encoding == "utf-16" else "UTF-8"
        line = content.count(b"\n", 0, error.start) + 1
        raise TranscriptError(
            source, f"is not {name} at byte {error.start}; save the file as UTF-8", place=f"line {line}"
        ) from None


def _ordered(segments: Sequence[TranscriptSegment]) -> tuple[TranscriptSegment, ...]:
    return tuple(sorted(segments, key=lambda segment: segment.start_time))


def _title_from(source: str) -> str:
    words = Path(source).stem.replace("-", " ").replace("_", " ").strip()
    # A file's name may hold bytes that are no UTF-8; Python keeps them as lone surrogates.
    storable = words.encode(errors="replace").decode()
    return storable[:1].upper() + storable[1:] or "Untitled"
