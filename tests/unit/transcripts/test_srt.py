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


def said_in(cue: str) -> str:
    (segment,) = parse_transcript(f"1\n00:00:01,000 --> 00:00:02,000\n{cue}\n".encode(), "x.srt").segments
    return segment.text


@pytest.mark.parametrize(
    "spoken",
    [
        "is a <b and c> d",
        "<font of youth>",
        "a {\\LaTeX is fine} b",
        "{\\LaTeX} {\\really} {\\item} {\\b 1} {\\pos(1}",
        "<inaudible> <i.e.> <v Ann>",
        "{\\} {x} {\\i b}",
        "<fonts>",
    ],
)
def test_what_looks_like_markup_and_is_none_was_said(spoken: str) -> None:
    assert said_in(spoken) == spoken


@pytest.mark.parametrize(
    "marked",
    [
        "<b>one</b> <I>two</I> <u >three</u> <s>four</s>",
        "<font color=\"#ff0000\" size=4>one</font> <FONT face='Arial Narrow'>two three</FONT> <font>four",
        "{\\an8}one {\\i1}two{\\i0} {\\pos(192, 20)\\c&HFF00FF&}three {\\fnArial Bold\\fs20\\t(0,9,\\fs8)}four",
    ],
)
def test_markup_of_players_is_taken_away(marked: str) -> None:
    assert said_in(marked) == "one two three four"


@pytest.mark.parametrize("gap", ["\n", ""], ids=["blank lines", "no blank lines"])
def test_a_number_in_the_text_is_no_cue_number(gap: str) -> None:
    times = "00:00:0{0},000 --> 00:00:0{0},500"
    said = ["7", "1", "1999\n4\nand 5"]
    text = gap.join(f"{n}\n{times.format(n)}\n{each}\n" for n, each in enumerate(said, start=1))

    assert [s.text for s in parse_transcript(text.encode(), "x.srt").segments] == ["7", "1", "1999 4 and 5"]


def test_a_number_and_blank_lines_are_no_cue() -> None:
    with pytest.raises(TranscriptError, match="is none of"):
        parse_transcript(b"7\n" + b"\r\n" * 16 + b"y", "odd.srt")


@pytest.mark.parametrize("spoken", ["42", "1", "9" * 5_000])
def test_a_number_that_may_have_been_said_is_refused_where_a_cue_lacks_its_own(spoken: str) -> None:
    text = f"1\n00:00:01,000 --> 00:00:02,000\nroom\n{spoken}\n00:00:03,000 --> 00:00:04,000\nyou\n"

    with pytest.raises(TranscriptError, match="line 4, number: follows text and is not the next number"):
        parse_transcript(text.encode(), "x.srt")
    (room, you) = parse_transcript(text.replace("room\n", "room\n\n").encode(), "x.srt").segments
    assert (room.text, you.text) == ("room", "you")
