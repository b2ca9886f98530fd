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


def texts(body: str) -> list[str]:
    return [segment.text for segment in parse_transcript(f"WEBVTT\n\n{body}\n".encode(), "x.vtt").segments]


def said_in(cue: str) -> str:
    (text,) = texts(f"00:01.000 --> 00:02.000\n{cue}")
    return text


@pytest.mark.parametrize(
    "spoken",
    [
        "while i < 10 and j > 3 we wait",
        "then <coughs> and <door slams>, sorry",
        "a list<int> inside a dict<str, list<float>>",
        "n<m, nothing more",
        "is a <b and c> d",
        "give <i equals 3> a name",
        "write <V Bob> or <I> or </x> or <> or </>",
        "<vocal> and <language de> and <close>",
        "<font color=red>stop</font>",
        "at <12:30> or <1:2:3>",
        "{\\an8} stays",
        "<c.a b>",
        "<v Ann <ann@example.org> hi",
    ],
)
def test_what_stands_between_angle_brackets_and_is_no_tag_was_said(spoken: str) -> None:
    assert said_in(spoken) == spoken


@pytest.mark.parametrize(
    "marked",
    [
        "<c>one</c> <b>two</b> <i>three</i> <u>four</u>",
        "<c.yellow.bg_blue>one two</c> <b.loud>three</b > four",
        "<lang en-GB>one two</lang> <lang>three</lang> four",
        "<ruby>one<rt> two</rt></ruby> three four",
        "one<00:00:01.100><c> two</c><00:01.200><c> three</c><1:00:01.900> four",
        "one <c.>two <b\n>three\nfour",
    ],
)
def test_real_tags_and_timestamps_are_taken_away(marked: str) -> None:
    assert said_in(marked) == "one two three four"


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("R&amp;D &lt;b&gt; &#39;&#x201C;&nbsp;&copy;", "R&D <b> '“\u00a0©"),
        ("AT&T, cut&copy and &lt without its end", "AT&T, cut&copy and &lt without its end"),
        ("&nosuch; &#0; &#xD800; &#x110000; &;", "&nosuch; &#0; &#xD800; &#x110000; &;"),
        ("&amp;lt;i&amp;gt;", "&lt;i&gt;"),
    ],
)
def test_references_that_name_a_character_are_resolved_and_others_kept(written: str, read: str) -> None:
    assert said_in(written) == read


def test_a_reference_of_thousands_of_digits_is_kept() -> None:
    written = f"a &#{'8' * 6_000}; b &#x{'f' * 6_000}; c"

    assert said_in(written) == written


def test_separators_that_are_no_line_ends_stay_in_the_text() -> None:
    assert said_in("one\u2028\u2028two\x85three\x1cfour") == "one\u2028\u2028two\x85three\x1cfour"
    assert said_in("one\x0b\x0btwo\x0cthree") == "one two three"


def test_note_and_style_within_a_cue_are_text() -> None:
    body = (
        "20:01.400 --> 20:04.370 align:middle line:84%\nPlease\nNOTE this in\nSTYLE and\nREGION alike\n\n"
        "20:05.000 --> 20:06.000\nNOTE the rest"
    )

    assert texts(body) == ["Please NOTE this in STYLE and REGION alike", "NOTE the rest"]


@pytest.mark.parametrize("word", ["REGION manager", "STYLE is all", "REGION", "STYLE"])
def test_a_paragraph_after_the_first_cue_that_begins_with_region_or_style_is_not_lost_silently(word: str) -> None:
    with pytest.raises(TranscriptError, match="line 6, text: stands outside a cue"):
        texts(f"00:01.000 --> 00:02.000\nthe\n\n{word}\nhas left")


def test_a_segment_of_a_stream_has_its_time_map_in_the_header() -> None:
    text = "WEBVTT\nX-TIMESTAMP-MAP=MPEGTS:181083,LOCAL:00:00:00.000\n\n00:00:01.000 --> 00:00:02.000\nlive\n"

    assert [segment.text for segment in parse_transcript(text.encode(), "x.vtt").segments] == ["live"]


def test_teams_short_times_and_names_with_commas_are_read() -> None:
    text = (
        "WEBVTT\n\n0:0:3.40 --> 0:0:7.5\n<v Berg, Ida (External)>Is this on?</v>\n\n"
        "0:1:8.0 --> 0:1:9.90\n<v Ek, Jan>It is.</v>"
    )

    segments = parse_transcript(text.encode(), "x.vtt").segments

    assert [(s.start_time, s.end_time, s.speaker, s.text) for s in segments] == [
        (3.4, 7.5, "Berg, Ida (External)", "Is this on?"),
        (68.0, 69.9, "Ek, Jan", "It is."),
    ]


def test_teams_identifiers_windows_line_ends_and_references_are_read() -> None:
    text = (
        "\ufeffWEBVTT\n\n5d0c2a1e-0000-4000-8000-00000000000a/17-0\n00:00:05.100 --> 00:00:06.900\n"
        "<v Ida Berg>Let us go through\nthe list.</v>\n\n5d0c2a1e-0000-4000-8000-00000000000a/17-1\n"
        "00:00:06.900 --> 00:00:08.000\n<v Bj\u00f6rk, Jan>It&#39;s R&amp;D&#39;s</v>\n"
    )

    segments = parse_transcript(text.replace("\n", "\r\n").encode(), "x.vtt").segments

    assert [(s.speaker, s.text) for s in segments] == [
        ("Ida Berg", "Let us go through the list."),
        ("Bj\u00f6rk, Jan", "It's R&D's"),
    ]


def test_teams_metadata_is_read_as_speaker_text_and_language() -> None:
    entry = '{"speakerName":"Ida Berg","spokenText":"Good {day}","spokenLanguage":"en-us","endDateTime":""}'

    (segment,) = parse_transcript(f"WEBVTT\n\n00:01.000 --> 00:02.000\n{entry}\n".encode(), "x.vtt").segments

    assert (segment.speaker, segment.text, segment.language) == ("Ida Berg", "Good {day}", "en-us")
    assert said_in('{"spokenText": 5}') == '{"spokenText": 5}', "what is no entry of Teams was said"


def test_zoom_labels_stay_in_the_text_where_one_cue_has_none() -> None:
    text = (
        "WEBVTT\r\n\r\n1\r\n00:00:02.640 --> 00:00:05.050\r\nIda Berg: Who has the key?\r\n\r\n"
        "2\r\n00:00:05.080 --> 00:00:06.180\r\nIda Berg: I had\r\n\r\n"
        "3\r\n00:00:06.510 --> 00:00:07.959\r\nYes. Here\r\n"
    )
    labelled = text.replace("Yes. Here", "Jan Ek: Yes. Here")

    assert [s.text for s in parse_transcript(text.encode(), "x.vtt").segments] == [
        "Ida Berg: Who has the key?",
        "Ida Berg: I had",
        "Yes. Here",
    ]
    assert [(s.speaker, s.text) for s in parse_transcript(labelled.encode(), "x.vtt").segments] == [
        ("Ida Berg", "Who has the key?"),
        ("Ida Berg", "I had"),
        ("Jan Ek", "Yes. Here"),
    ]
