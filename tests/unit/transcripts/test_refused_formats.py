"""What is known and not read is refused by its name, with a way to get what is read."""

from __future__ import annotations

import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from worker.cli import create_app
from worker.transcripts import Transcript, TranscriptError, parse_transcript, read_transcript
from worker.transcripts.formats import ACCEPTED, BINARY, DOCUMENTS, PLAIN_TEXTS, TEXTS, Unread


def zipped(name: str) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("[Content_Types].xml", "x")
        archive.writestr(name, "secret")
    return content.getvalue()


MEET = """\
Planning (2026-03-01 10:00 GMT+1) - Transcript
Attendees

Ida Berg, Jan Ek

00:00:00

Ida Berg: secret
Jan Ek: Yes.
"""
BYTES = [
    (zipped("word/document.xml"), "Word document", ".vtt"),
    (zipped("a.vtt"), "ZIP", "unpack"),
    (b"\x1f\x8b\x08secret", "compressed", "unpack"),
    (b"%PDF-1.7 secret", "PDF", "WebVTT"),
    (b"\xd0\xcf\x11\xe0secret", "Office", "WebVTT"),
    (b"RIFF\x00\x00\x00\x00WAVEsecret", "recording", "recognizer"),
    (b"\x00\x00\x00 ftypisom secret", "recording", "recognizer"),
    (b"ID3\x04secret", "recording", "recognizer"),
]
PLAIN = [
    (MEET, "Google Meet", "conferenceRecords.transcripts.entries"),
    (
        MEET.replace("\n", "\r\n").replace("00:00:00", "### 00:00:00").replace("Ida Berg:", "**Ida Berg:**"),
        "Google Meet",
        "sbv",
    ),
    (r"{\rtf1 secret}", "RTF", "WebVTT"),
    ("[00:00.000 --> 00:02.000]  secret\n", "terminal", "--output_format json"),
    ("[00:00:00.000 --> 00:00:02.000]   secret\n", "terminal", "--output-json"),
    ("start\tend\ttext\n0\t1000\tsecret\n", "TSV", ".vtt"),
    ("[Script Info]\nTitle: secret\n", "ASS", "ffmpeg"),
    ("[by:whisper.cpp]\n[00:01.00] secret\n", "LRC", "WebVTT"),
    ("[00:01.00] secret\n", "LRC", "WebVTT"),
    ('<?xml version="1.0"?><tt>secret</tt>', "XML", "WebVTT"),
    ("<!DOCTYPE html><p>secret", "HTML", "WebVTT"),
    ("00:00:01,000 --> 00:00:02,000\nsecret\n", "without SRT's numbers", "ffmpeg"),
    ('{"start": 0, "end": 1, "text": "secret"}\n{"start": 1, "end": 2, "text": "more"}\n', "JSON Lines", "one list"),
]
DUMPS: list[tuple[Any, str, str]] = [
    ({"monologues": [{"elements": []}]}, "Rev AI", "SRT"),
    ({"recognizedPhrases": [], "combinedRecognizedPhrases": []}, "Azure", "SRT"),
    ({"wireMagic": "pb3", "events": [{"segs": [{"utf8": "secret"}]}]}, "json3", "vtt"),
    ({"Transcript": [{"Content": "secret"}]}, "Call Analytics", "transcription job"),
    ({"result": [{"word": "secret", "conf": 1}], "text": "secret"}, "Vosk", "srt"),
    ({"format": "2.9", "results": [{"type": "word", "alternatives": [{"content": "secret"}]}]}, "Speechmatics", "srt"),
    ({"results": [{"alternatives": [{"transcript": "secret"}]}]}, "Google Cloud", "SRT"),
    ([[0, 0, 0.0, 1.0, "secret", [1], 0.0, -0.1, 1.0, 0.0, None]], "faster-whisper", "_asdict"),
    ([[[0, 0, 0.0, 1.0, "secret", [1]]], {"language": "en"}], "faster-whisper", "_asdict"),
    ({"text": "secret"}, "text without times", "verbose_json"),
    ({"text": "secret", "segments": [], "language": "en"}, "text without times", "verbose_json"),
]
CASES: list[tuple[bytes, str, str]] = [
    *BYTES,
    *((text.encode(), name, way_out) for text, name, way_out in PLAIN),
    *((json.dumps(dump).encode(), name, way_out) for dump, name, way_out in DUMPS),
]


@pytest.mark.parametrize(("content", "name", "way_out"), CASES)
def test_a_known_format_is_refused_by_name_with_a_way_out(content: bytes, name: str, way_out: str) -> None:
    with pytest.raises(TranscriptError) as refused:
        parse_transcript(content, "x")

    assert name in str(refused.value)
    assert way_out in str(refused.value)
    assert "secret" not in str(refused.value)


def test_every_refused_format_has_a_case() -> None:
    refused = {
        entry.is_ for table in (BINARY, TEXTS, PLAIN_TEXTS, DOCUMENTS) for entry in table if isinstance(entry, Unread)
    }
    problems = []
    for content, _, _ in CASES:
        with pytest.raises(TranscriptError) as error:
            parse_transcript(content, "x")
        problems.append(error.value.problem)

    assert {name for name in refused if not any(problem.startswith(f"is {name};") for problem in problems)} == set()


@pytest.mark.parametrize(
    "content", [b"{}", b'{"results": 1}', b'{"words": 5}', b"[1, 2]", b'["secret"]', b'"x"', b"Hi"]
)
def test_what_is_not_known_is_refused_with_what_is_read(content: bytes) -> None:
    with pytest.raises(TranscriptError, match=r"is none of: WebVTT .*, SRT, SBV, or the JSON of"):
        parse_transcript(content, "x")


def test_a_recording_is_not_read_into_memory_to_be_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "long.mp4"
    path.write_bytes(b"\x00\x00\x00 ftypisom" + bytes(4_000_000))
    sizes: list[int] = []

    def parse(content: bytes, source: str, *_: object) -> Transcript:
        sizes.append(len(content))
        return parse_transcript(content, source)

    monkeypatch.setattr("worker.transcripts.reader.parse_transcript", parse)

    with pytest.raises(TranscriptError, match="is a recording"):
        read_transcript(path)

    assert sizes == [1024 * 1024]


def test_a_text_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("worker.transcripts.reader._MOST_BYTES", 3 * 1024 * 1024)

    with pytest.raises(TranscriptError, match="x: holds more than 3 MiB"):
        parse_transcript(b"WEBVTT\n\n" + b"x" * 4_000_000, "x")


def test_the_help_and_the_docs_list_every_format_that_is_read() -> None:
    page = (Path(__file__).parents[3] / "docs" / "transcripts.md").read_text()
    shown = CliRunner().invoke(create_app(), ["ingest", "--help"], env={"COLUMNS": "2000", "NO_COLOR": "1"}).output
    names = re.findall(r"[A-Z][\w']+(?: [A-Z]\w+)?|whisper\.cpp|[a-z]+-[a-z]+", ACCEPTED)

    assert ACCEPTED in shown
    assert {"WebVTT", "SRT", "SBV", "OpenAI's API", "faster-whisper", "whisper.cpp", "Amazon Transcribe"} <= {*names}
    assert {name for name in names if name not in page} == set()
