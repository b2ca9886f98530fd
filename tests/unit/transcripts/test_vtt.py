"""WebVTT as recorders, Zoom and YouTube write it."""

import pytest

from worker.transcripts import TranscriptError, parse_transcript

MEETING = """\
WEBVTT - Weekly sync
Kind: captions
Language: de-AT

STYLE
::cue(.loud) { color: red; }

NOTE
Recorded in room 3.
Nothing here is said.

intro
00:01.000 --> 00:04.250 align:start position:10%
<v.loud Zoë Müller>Grüß euch &amp; <b>guten</b> Morgen!
Alle da?</v>

2
00:00:03.900 --> 00:00:05.000
<v 田中 さくら>はい 👩🏽‍💻

00:00:05.000 --> 00:00:06.000

NOTE the end

1:00:00.000 --> 1:00:01.5
<c.yellow>3 &lt; 5</c>, naïve cafe\u0301&nbsp;☕
"""


def test_a_webvtt_file_is_read_with_title_speakers_times_and_language() -> None:
    transcript = parse_transcript(MEETING.encode(), "sync.vtt")

    assert transcript.title == "Weekly sync"
    assert transcript.source == "sync.vtt"
    assert [(s.start_time, s.end_time, s.speaker, s.text) for s in transcript.segments] == [
        (1.0, 4.25, "Zoë Müller", "Grüß euch & guten Morgen! Alle da?"),
        (3.9, 5.0, "田中 さくら", "はい 👩🏽‍💻"),
        (3600.0, 3601.5, None, "3 < 5, naïve cafe\u0301\u00a0☕"),
    ]
    assert {segment.language for segment in transcript.segments} == {"de-AT"}


@pytest.mark.parametrize("line_end", ["\r\n", "\r", "\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_line_ends_and_byte_order_marks_change_nothing(line_end: str, encoding: str) -> None:
    expected = parse_transcript(MEETING.encode(), "sync.vtt")

    assert parse_transcript(MEETING.replace("\n", line_end).encode(encoding), "sync.vtt") == expected


def test_two_voices_in_one_cue_are_two_segments_of_the_same_time() -> None:
    text = "WEBVTT\n\n00:01.000 --> 00:02.000\n<v Ann>We ship\n<v Ann>on Friday</v> <v Bob>No!</v>\n"

    segments = parse_transcript(text.encode(), "x.vtt").segments

    assert [(s.speaker, s.text, s.start_time) for s in segments] == [
        ("Ann", "We ship on Friday", 1.0),
        ("Bob", "No!", 1.0),
    ]


def test_overlapping_cues_are_legal_and_come_in_the_order_in_which_they_begin() -> None:
    text = (
        "WEBVTT\n\n00:05.000 --> 00:09.000\nlate\n\n00:01.000 --> 00:20.000\nlong\n\n"
        "00:05.000 --> 00:06.000\nat the same time, later in the file\n"
    )

    segments = parse_transcript(text.encode(), "x.vtt").segments

    assert [s.text for s in segments] == ["long", "late", "at the same time, later in the file"]


def test_a_file_without_cues_is_an_empty_transcript() -> None:
    transcript = parse_transcript(b"WEBVTT\n", "shared/quarterly-review.vtt")

    assert transcript.segments == ()
    assert transcript.title == "Quarterly review"


@pytest.mark.parametrize(
    ("cue", "place", "field"),
    [
        ("00:01.000 --> 00:0x.000\nhello", "line 3", "timing"),
        ("00:01.000 -> 00:02.000\nhello", "line 3", "text"),
        ("00:01.000 --> 00:02.0001\nhello", "line 3", "timing"),
        ("00:61:00.000 --> 00:62:00.000\nhello", "line 3", "timing"),
        ("00:05.000 --> 00:04.000\nhello", "line 3", "end"),
        ("00:01.000 --> 00:02.000\nhello\n\nand this is in no cue", "line 6", "text"),
        ("00:01.000 --> 00:02.000\nhello\n2\n00:03.000 --> 00:04.000\nyou", "line 6", "timing"),
        ("00:01.000 --> 00:02.000\na --> b", "line 4", "timing"),
        ("00:01.000 --> 00:02.000\nhel\x00lo", "line 3", "text"),
        (f"00:01.000 --> 00:02.000\n<v {'x' * 201}>hello", "line 3", "speaker"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_file_place_and_field(cue: str, place: str, field: str) -> None:
    with pytest.raises(TranscriptError) as refused:
        parse_transcript(f"WEBVTT\n\n{cue}\n".encode(), "bad.vtt")

    assert (refused.value.source, refused.value.place, refused.value.field) == ("bad.vtt", place, field)
    assert str(refused.value).startswith(f"bad.vtt: {place}, {field}: ")
    assert "hello" not in str(refused.value), "what was said stays out of messages"


def test_a_cue_commented_out_is_not_lost_silently() -> None:
    text = "WEBVTT\n\nNOTE removed\n00:01.000 --> 00:02.000\nhello\n"

    assert [s.text for s in parse_transcript(text.encode(), "x.vtt").segments] == ["hello"], (
        "a note may not hold times: players show this cue"
    )


def test_a_long_file_is_read_in_pieces_as_if_it_were_one(monkeypatch: pytest.MonkeyPatch) -> None:
    cues = (
        "00:0{n}.000 --> 00:0{n}.500\nplain {n}\n",
        "name {n}\n00:0{n}.000 --> 00:0{n}.500\n<v Anna>named\nin two lines\n",
        "NOTE\n00:0{n}.000 --> 00:0{n}.500\na note's cue\n",
        "NOTE of {n}\nmore\n00:0{n}.000 --> 00:0{n}.500\nclose to a note\n",
        "STYLE\n::cue {{}}\n\n\n00:0{n}.000 --> 00:0{n}.500\nafter a style\n",
    )
    body = "\n".join(cues[n % len(cues)].format(n=n) for n in range(10))
    content = f"WEBVTT - Sync\nLanguage: de\n\n{body}".encode()
    whole = parse_transcript(content, "x.vtt")
    told: list[tuple[int, int]] = []

    for most in range(1, 11):
        monkeypatch.setattr("worker.transcripts.cues._CUES_AT_A_TIME", most)
        assert parse_transcript(content, "x.vtt", lambda done, total: told.append((done, total))) == whole

    assert len(whole.segments) == 10
    assert {segment.language for segment in whole.segments} == {"de"}
    assert told == [(10, 10)] * 10
