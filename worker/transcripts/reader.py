"""From a file to a transcript: what it is written in and which format it has is seen from its content."""

import codecs
import re
from collections.abc import Sequence
from pathlib import Path

from worker.transcripts.cues import read_srt, read_vtt
from worker.transcripts.errors import TranscriptError, placed
from worker.transcripts.model import Transcript, TranscriptSegment
from worker.transcripts.progress import OnProgress, unheard
from worker.transcripts.whisper import read_whisper

_VTT_START = re.compile(r"WEBVTT(?=[ \t\r\n]|$)")
_SRT_START = re.compile(r"\s*\d+[ \t]*(?:\r\n|\r|\n)+[^\r\n]*-->")
_UTF_16_MARKS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_transcript(path: Path, on_progress: OnProgress = unheard) -> Transcript:
    """The transcript in the file at `path`, which holds one segment at least.

    TranscriptError names place and field of what cannot be read.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise TranscriptError(str(path), f"cannot be opened: {error.strerror}") from error
    transcript = parse_transcript(content, str(path), on_progress)
    if not transcript.segments:
        raise TranscriptError(transcript.source, "holds no segment")
    return transcript


def parse_transcript(content: bytes, source: str, on_progress: OnProgress = unheard) -> Transcript:
    """The transcript in `content`.

    `source` names it in errors, and gives the title where the content has none. `on_progress` is told how
    many of its cues, or segments, are read.
    """
    text = _decoded(content, source)
    title = ""
    if _VTT_START.match(text):
        title, segments = read_vtt(text, source, on_progress)
    elif text.lstrip().startswith(("{", "[")):
        segments = read_whisper(text, source, on_progress)
    elif _SRT_START.match(text):
        segments = read_srt(text, source, on_progress)
    else:
        problem = "is empty" if not text.strip() else "is neither WebVTT nor SRT nor Whisper's JSON"
        raise TranscriptError(source, problem)
    with placed(source, "line 1"):
        return Transcript(title or _title_from(source), source, _ordered(segments))


def _decoded(content: bytes, source: str) -> str:
    """The content as text: UTF-8, with or without its mark, or UTF-16 with one."""
    encoding = "utf-16" if content.startswith(_UTF_16_MARKS) else "utf-8-sig"
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
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
