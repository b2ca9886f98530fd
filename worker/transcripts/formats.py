"""Every format that is read, and every format that is known and refused: one table for each kind of content.

The first entry that recognizes the content decides. To add a format, write its reader and add its line here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, NoReturn, TypeVar

from worker.transcripts.assemblyai import is_assemblyai, read_assemblyai
from worker.transcripts.aws_transcribe import is_aws_transcribe, read_aws_transcribe
from worker.transcripts.cues import read_sbv, read_srt, read_vtt
from worker.transcripts.deepgram import is_deepgram, read_deepgram
from worker.transcripts.errors import TranscriptError
from worker.transcripts.google_meet import is_google_meet, is_google_meet_document, read_google_meet
from worker.transcripts.hugging_face import is_hugging_face, read_hugging_face
from worker.transcripts.layout import starts_like_sbv, starts_like_srt
from worker.transcripts.model import TranscriptSegment
from worker.transcripts.progress import OnProgress
from worker.transcripts.whisper import is_whisper, read_whisper
from worker.transcripts.whisper_cpp import is_whisper_cpp, read_whisper_cpp

Content = TypeVar("Content")
Titled = tuple[str, list[TranscriptSegment]]

ACCEPTED = (
    "WebVTT (also of Teams, Zoom and YouTube), SRT, SBV, or the JSON of Whisper (openai-whisper, OpenAI's API, "
    "faster-whisper, WhisperX, stable-ts), whisper.cpp, Transformers, Deepgram, AssemblyAI, Amazon Transcribe or "
    "Google Meet's API"
)
"""What a person may give, in one sentence."""

_MEDIA = (b"ID3", b"OggS", b"fLaC", b"\x1aE\xdf\xa3", b"\xff\xfb", b"\xff\xf3", b"\xff\xf2", b"\xff\xf1", b"\xff\xf9")


@dataclass(frozen=True, slots=True)
class Format(Generic[Content]):
    """A format that is read: how its content is recognized, and what reads it (source and progress follow)."""

    recognizes: Callable[[Content], bool]
    read: Callable[[Content, str, OnProgress], Titled]


@dataclass(frozen=True, slots=True)
class Unread(Generic[Content]):
    """A format that is known and refused: what the file is, and how to get one that is read."""

    recognizes: Callable[[Content], bool]
    is_: str
    way_out: str

    def read(self, content: Content, source: str, on_progress: OnProgress) -> NoReturn:
        """Refuse the content by the name of its format."""
        raise TranscriptError(source, f"is {self.is_}; {self.way_out}")


Entry = TypeVar("Entry", bound=Format[Any] | Unread[Any])


def first_match(content: object, table: Sequence[Entry]) -> Entry | None:
    """Return the first entry of a table that recognizes the content."""
    return next((entry for entry in table if entry.recognizes(content)), None)


def _untitled(
    read: Callable[[Any, str, OnProgress], list[TranscriptSegment]],
) -> Callable[[Any, str, OnProgress], Titled]:
    return lambda document, source, on_progress: ("", read(document, source, on_progress))


def _begins(*marks: bytes) -> Callable[[bytes], bool]:
    return lambda content: content.startswith(marks)


def _pattern(pattern: str) -> Callable[[str], bool]:
    return lambda text: re.match(pattern, text) is not None


def _has(key: str, kind: type = list) -> Callable[[Any], bool]:
    return lambda document: isinstance(document, dict) and isinstance(document.get(key), kind)


def _is_media(content: bytes) -> bool:
    return content[4:8] == b"ftyp" or content[8:12] in (b"WAVE", b"AVI ", b"AIFF", b"AIFC") or _begins(*_MEDIA)(content)


def _is_docx(content: bytes) -> bool:
    return content.startswith(b"PK\x03\x04") and b"word/" in content


def _is_speechmatics(document: Any) -> bool:
    return _has("results")(document) and "format" in document


def _is_google_speech(document: Any) -> bool:
    return _has("results")(document) and any(
        isinstance(each, dict) and "alternatives" in each for each in document["results"]
    )


def _is_list_of_lists(document: Any) -> bool:
    rows = document[0] if _is_rows(document) and len(document) == 2 and isinstance(document[1], dict) else document
    return _is_rows(rows) and bool(rows[0]) and not isinstance(rows[0][0], dict)


def _is_rows(document: Any) -> bool:
    return isinstance(document, list) and bool(document) and isinstance(document[0], list)


def _is_text_only(document: Any) -> bool:
    return isinstance(document, dict) and any(isinstance(document.get(key), str) for key in ("text", "transcript"))


BINARY: Sequence[Unread[bytes]] = (
    Unread(
        _is_docx,
        "a Word document (.docx), as Teams and Google Meet export it",
        "download it from Teams as .vtt; from Meet take the entries of its API or the recording's captions",
    ),
    Unread(_begins(b"PK\x03\x04"), "a ZIP archive", "unpack it and give the transcript inside"),
    Unread(_begins(b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"7z\xbc\xaf", b"\x28\xb5\x2f\xfd"), "compressed", "unpack it"),
    Unread(_begins(b"%PDF-"), "a PDF", "export the transcript as WebVTT or SRT"),
    Unread(_begins(b"\xd0\xcf\x11\xe0"), "an old Office document", "export the transcript as WebVTT or SRT"),
    Unread(_is_media, "a recording", "run a recognizer on it and give what that wrote"),
)
"""What is seen from the first bytes, before the content is taken for text."""

TEXTS: Sequence[Format[str] | Unread[str]] = (
    Format(_pattern(r"WEBVTT(?=[ \t\r\n]|\Z)"), read_vtt),
    Format(starts_like_srt, read_srt),
    Format(starts_like_sbv, read_sbv),
    Unread(
        _pattern(r"\s*(?:[0-9]{1,10}:)?[0-9]{1,2}:[0-9]{1,2}[.,][0-9]{1,3}\s*-->"),
        "a caption file without WebVTT's header and without SRT's numbers",
        "convert it (ffmpeg -i FILE.srt OUT.vtt)",
    ),
    Unread(_pattern(r"\{\\rtf"), "an RTF document", "export the transcript as WebVTT or SRT"),
    Unread(
        _pattern(r"\[(?:[0-9]{2}:)?[0-9]{2}:[0-9]{2}\.[0-9]{3} --> "),
        "what Whisper prints to the terminal",
        "let it write a file (openai-whisper: --output_format json, whisper.cpp: --output-json)",
    ),
    Unread(_pattern(r"start\tend\ttext\r?\n"), "Whisper's TSV", "give the .json or .vtt that Whisper wrote beside it"),
    Unread(_pattern(r"(?i)\[script info\]"), "a subtitle in ASS or SSA", "convert it to SRT (ffmpeg -i FILE OUT.srt)"),
    Unread(
        _pattern(r"\[(?:(?:ar|al|ti|by|la):[^\]\n]*|[0-9]{1,3}:[0-9]{2}\.[0-9]{2,3})\]"),
        "a file of lyrics (LRC), which has no ends of lines",
        "let the recognizer write WebVTT or JSON",
    ),
    Unread(
        _pattern(r"(?i)<(?:\?xml|tt\b|timedtext|transcript|sami|!doctype|html)"), "XML or HTML", "export WebVTT or SRT"
    ),
)
"""What is seen from the text. JSON, which comes after them, is recognized by `DOCUMENTS`."""

PLAIN_TEXTS: Sequence[Unread[str]] = (
    Unread(
        is_google_meet_document,
        "a transcript document of Google Meet, which has no time for each sentence",
        "take the entries of Meet's API (conferenceRecords.transcripts.entries) or the recording's captions as .sbv",
    ),
)
"""What is tried on a text that is nothing else."""

DOCUMENTS: Sequence[Format[Any] | Unread[Any]] = (
    Format(is_whisper_cpp, _untitled(read_whisper_cpp)),
    Format(is_deepgram, _untitled(read_deepgram)),
    Format(is_aws_transcribe, _untitled(read_aws_transcribe)),
    Format(is_assemblyai, _untitled(read_assemblyai)),
    Format(is_google_meet, _untitled(read_google_meet)),
    Format(is_hugging_face, _untitled(read_hugging_face)),
    Unread(
        _is_list_of_lists,
        "a dump of faster-whisper's segments as tuples",
        "dump segment._asdict(), or dataclasses.asdict(segment), for each segment",
    ),
    Format(is_whisper, _untitled(read_whisper)),
    Unread(_has("monologues"), "a transcript of Rev AI", "fetch its captions as SRT or WebVTT"),
    Unread(_has("recognizedPhrases"), "a transcript of Azure AI Speech", "let it write SRT or WebVTT"),
    Unread(_has("events"), "YouTube's json3", "download the captions as WebVTT (yt-dlp --sub-format vtt)"),
    Unread(_has("Transcript"), "Amazon Transcribe's Call Analytics", "run it as a plain transcription job"),
    Unread(_has("result"), "a transcript of Vosk", "let it write SRT (vosk-transcriber -t srt)"),
    Unread(_is_speechmatics, "a transcript of Speechmatics", "fetch it with format=srt"),
    Unread(_is_google_speech, "a transcript of Google Cloud Speech-to-Text", "let it write SRT or WebVTT"),
    Unread(
        _is_text_only,
        "a text without times",
        "let the recognizer write segments (OpenAI: response_format=verbose_json, "
        "Transformers: return_timestamps=True)",
    ),
)
"""What is seen from a JSON document."""
