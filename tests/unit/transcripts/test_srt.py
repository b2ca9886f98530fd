"""SRT as subtitle editors and transcribers write it."""

import pytest

from worker.transcripts import TranscriptError, parse_transcript

INTERVIEW = """\
1
00:00:00,500 --> 00:00:02,000
{\\an8}<i>Hello</i> AT&T, it's 3 < 5 &amp; 7 > 2

2
00:00:02,000 --> 00:00:03,000 X1:40 X2:600 Y1:20 Y2:50
In

2026 we met.
3
00:00:01.900 --> 00:00:04.100
مرحبا <font color="#fff">بكم</font> 🙂

4
00:00:05,000 --> 00:00:06,000

5

00:00:06,000 --> 00:00:07,000
the end
"""


def test_an_srt_file_is_read_in_order_of_time_with_its_text_as_written() -> None:
    segments = parse_transcript(INTERVIEW.encode(), "interview.srt").segments

    assert [(s.start_time, s.end_time, s.text) for s in segments] == [
        (0.5, 2.0, "Hello AT&T, it's 3 < 5 &amp; 7 > 2"),
        (1.9, 4.1, "مرحبا بكم 🙂"),
        (2.0, 3.0, "In 2026 we met."),
        (6.0, 7.0, "the end"),
    ]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_blank_lines_first_marks_and_windows_line_ends_change_nothing(encoding: str) -> None:
    expected = parse_transcript(INTERVIEW.encode(), "interview.srt")
    windows = ("\n\n" + INTERVIEW).replace("\n", "\r\n").encode(encoding)

    assert parse_transcript(windows, "interview.srt") == expected


@pytest.mark.parametrize(
    ("content", "place", "field"),
    [
        ("1\n00:01,000 --> 00:02,000\nhello\n", "line 2", "timing"),
        ("1\n00:00:01,5 --> 00:00:02,000\nhello\n", "line 2", "timing"),
        ("1\n00:00:03,000 --> 00:00:02,000\nhello\n", "line 2", "end"),
        ("1\n00:00:01,000 --> 00:00:02,000\nhello\n\n00:00:03,000 --> 00:00:04,000\nyou", "line 5", "number"),
        ("1\n00:00:01,000 --> 00:00:02,000\nhello\n00:00:03,000 --> 00:00:04,000\nyou", "line 4", "number"),
        ("1\n00:00:01,000 --> 00:00:02,000\nhello\x00\n", "line 2", "text"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_file_place_and_field(content: str, place: str, field: str) -> None:
    with pytest.raises(TranscriptError) as refused:
        parse_transcript(content.encode(), "bad.srt")

    assert (refused.value.source, refused.value.place, refused.value.field) == ("bad.srt", place, field)
    assert "hello" not in str(refused.value)


def test_an_arrow_within_a_cue_is_text() -> None:
    text = "1\n00:00:01,000 --> 00:00:02,000\nfirst A\nA --> B\n"

    assert parse_transcript(text.encode(), "x.srt").segments[0].text == "first A A --> B"


def test_a_cue_without_text_beside_one_of_the_same_time_leaves_the_other_alone() -> None:
    times = "00:00:01,000 --> 00:00:02,000"
    text = f"1\n{times}\n\n2\n{times}\nhello\n"

    assert [s.text for s in parse_transcript(text.encode(), "x.srt").segments] == ["hello"]
