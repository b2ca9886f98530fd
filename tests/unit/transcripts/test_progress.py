"""How far a long file is, is told while it is read."""

import json

import pytest

from worker.cli.progress import shown
from worker.transcripts import Transcript, TranscriptSegment, parse_transcript
from worker.transcripts.fitting import check_fits

CUES = 2_500
VTT = "WEBVTT\n\n" + "00:01.000 --> 00:02.000\nhello\n\n" * CUES
SRT = "".join(f"{number}\n00:00:01,000 --> 00:00:02,000\nhello\n\n" for number in range(1, CUES + 1))
JSON = json.dumps([{"start": 1, "end": 2, "text": "hello"}] * CUES)
TOLD = [(1_000, CUES), (2_000, CUES), (CUES, CUES)]


@pytest.mark.parametrize("text", [VTT, SRT, JSON], ids=["vtt", "srt", "json"])
def test_reading_tells_every_thousand_and_the_end(text: str) -> None:
    told: list[tuple[int, int]] = []

    parse_transcript(text.encode(), "long", lambda done, total: told.append((done, total)))

    assert told == TOLD


def test_checking_tells_every_job() -> None:
    told: list[tuple[int, int]] = []

    check_fits(
        Transcript("Long", "long", (TranscriptSegment("hello", 1, 2),) * CUES),
        lambda done, total: told.append((done, total)),
    )

    assert told == TOLD


def test_a_log_is_told_in_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("ingest: reading", "cues", every_s=0.0) as on_progress:
        on_progress(1_000, CUES)
        on_progress(CUES, CUES)

    assert capsys.readouterr() == ("", "ingest: reading: 1000 of 2500 cues\n")


def test_what_is_soon_done_says_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with shown("ingest: reading", "cues", every_s=60.0) as on_progress:
        on_progress(1_000, CUES)

    assert capsys.readouterr() == ("", "")


def test_a_terminal_sees_a_bar(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TTY_INTERACTIVE", "1")
    monkeypatch.setenv("TERM", "xterm")
    with shown("ingest: reading", "cues") as on_progress:
        on_progress(1_000, CUES)

    seen = capsys.readouterr()
    assert seen.out == ""
    assert "1000/2500" in seen.err
