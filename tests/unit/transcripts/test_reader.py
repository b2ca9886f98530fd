"""Which format a file has, and what is refused as a whole."""

import pickle
from pathlib import Path

import pytest

from worker.transcripts import Transcript, TranscriptError, parse_transcript, read_transcript

VTT = b"WEBVTT\n\n00:01.000 --> 00:02.000\nhello\n"
SRT = b"1\n00:00:01,000 --> 00:00:02,000\nhello\n"
JSON = b'{"segments": [{"start": 1, "end": 2, "text": "hello"}]}'


@pytest.mark.parametrize("content", [VTT, SRT, JSON])
@pytest.mark.parametrize("name", ["a.vtt", "a.srt", "a.json", "a.txt", "a"])
def test_the_content_tells_the_format_whatever_the_name(content: bytes, name: str) -> None:
    (segment,) = parse_transcript(content, name).segments

    assert (segment.text, segment.start_time, segment.end_time) == ("hello", 1.0, 2.0)


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \r\n ", "is empty"),
        (b"Dear all,\nsee you", "is none of: WebVTT"),
        (b"WEBVTTX\n\n00:01.000 --> 00:02.000\nhello\n", "is none of: WebVTT"),
        (b"webvtt\n\n00:01.000 --> 00:02.000\nhello\n", "is none of: WebVTT"),
        (VTT + "Grüße".encode("latin-1"), "line 5: is not UTF-8 at byte 40"),
        (VTT + b"\xed\xa0\x80", "line 5: is not UTF-8"),
        (("WEBVTT " + "x" * 501).encode(), "line 1, title: must be at most 500 characters"),
    ],
)
def test_a_file_that_is_no_transcript_is_refused(content: bytes, problem: str) -> None:
    with pytest.raises(TranscriptError, match=problem):
        parse_transcript(content, "bad.vtt")


def test_a_file_that_is_not_there_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TranscriptError, match=r"gone\.vtt: cannot be opened: No such file"):
        read_transcript(tmp_path / "gone.vtt")


def test_a_file_is_read_from_disk_and_named_after_its_path(tmp_path: Path) -> None:
    path = tmp_path / "board_meeting-2026.srt"
    path.write_bytes(SRT)

    transcript = read_transcript(path)

    assert (transcript.title, transcript.source) == ("Board meeting 2026", str(path))


def test_a_transcript_shows_its_size_but_not_what_was_said() -> None:
    transcript: Transcript = parse_transcript(VTT, "a.vtt")

    assert repr(transcript) == "Transcript('a.vtt', 1 segments)"
    assert transcript.duration_s == 2.0


def test_an_error_survives_the_way_between_processes() -> None:
    error = TranscriptError("a.vtt", "is odd", place="line 1", field="end")

    assert str(pickle.loads(pickle.dumps(error))) == "a.vtt: line 1, end: is odd"


@pytest.mark.parametrize("content", [b"WEBVTT\n", b"[]", b'{"segments": [{"start": 1, "end": 2, "text": " "}]}'])
def test_a_file_in_which_nothing_is_said_is_refused_by_name(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "silence"
    path.write_bytes(content)

    with pytest.raises(TranscriptError, match="silence: holds no segment"):
        read_transcript(path)
