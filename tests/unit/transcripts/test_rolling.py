"""Rolling captions, as YouTube generates them, are stored once; what people repeat is stored as often as they do."""

from worker.transcripts import parse_transcript

ROLLING = """\
WEBVTT
Kind: captions
Language: en

00:00:01.000 --> 00:00:03.000 align:start position:0%
{blank}
we<00:00:01.400><c> ship</c><00:00:02.000><c> on</c>

00:00:03.000 --> 00:00:03.010 align:start position:0%
we ship on
{blank}

00:00:03.010 --> 00:00:05.000 align:start position:0%
we ship on
no

00:00:05.000 --> 00:00:05.010 align:start position:0%
no
{blank}

00:00:05.010 --> 00:00:07.000 align:start position:0%
no
no

00:00:07.000 --> 00:00:07.010 align:start position:0%
no
{blank}

00:00:07.010 --> 00:00:09.000 align:start position:0%
no
{blank}

00:00:12.000 --> 00:00:13.000 align:start position:0%
{blank}
no<00:00:12.400><c> way</c>
""".replace("{blank}", " ")


def texts(content: str, name: str = "x.vtt") -> list[str]:
    return [segment.text for segment in parse_transcript(content.encode(), name).segments]


def srt(*cues: tuple[int, int, str]) -> str:
    def time(ms: int) -> str:
        return f"00:00:{ms // 1000:02},{ms % 1000:03}"

    return "\n".join(f"{n}\n{time(a)} --> {time(b)}\n{text}\n" for n, (a, b, text) in enumerate(cues, start=1))


def test_the_lines_of_rolling_captions_are_stored_once() -> None:
    assert texts(ROLLING) == ["we ship on", "no", "no", "no way"]
    assert {segment.language for segment in parse_transcript(ROLLING.encode(), "x.vtt").segments} == {"en"}


def test_rolling_captions_that_were_converted_to_srt_are_stored_once() -> None:
    content = srt(
        (1000, 3000, "we ship on"),
        (3000, 3010, "we ship on"),
        (3010, 5000, "we ship on\nFriday or"),
        (5000, 5010, "Friday or"),
        (5010, 6000, "Friday or\nnever"),
    )

    assert texts(content, "x.srt") == ["we ship on", "Friday or", "never"]


def test_a_line_is_carried_over_a_gap_or_an_overlap_where_the_new_line_has_times() -> None:
    content = (
        "WEBVTT\n\n00:01.000 --> 00:02.000\none<00:01.500><c> two</c>\n\n00:02.000 --> 00:02.010\none two\n\n"
        "00:02.000 --> 00:03.000\none two\nthree<00:02.500><c> four</c>\n\n00:03.000 --> 00:03.010\nthree four\n\n"
        "01:00.000 --> 01:01.000\nthree four\nfive<01:00.500><c> six</c>\n\n01:01.000 --> 01:01.010\nfive six\n\n"
        "02:00.000 --> 02:01.000\nfive six\n"
    )

    assert texts(content) == ["one two", "three four", "five six", "five six"]


def test_a_carried_line_is_seen_without_a_short_cue_by_the_times_of_the_new_line() -> None:
    content = (
        "WEBVTT\n\n00:01.000 --> 00:02.000\none<00:01.500><c> two</c>\n\n"
        "00:02.000 --> 00:03.000\none two\nthree<00:02.500><c> four</c>\n"
    )

    assert texts(content) == ["one two", "three four"]


def test_what_people_repeat_is_stored_as_often_as_they_do() -> None:
    plain = (
        "WEBVTT\n\n00:01.000 --> 00:02.000\nno\n\n00:02.000 --> 00:03.000\nno\n\n00:03.000 --> 00:04.000\nno\nnever\n"
    )
    apart = "WEBVTT\n\n00:01.000 --> 00:02.000\nstop\n\n00:02.500 --> 00:02.510\nstop\n"
    within = "WEBVTT\n\n00:01.000 --> 00:02.000\nlast words\nbye\n\n00:02.000 --> 00:02.010\nbye bye\n"

    assert texts(plain) == ["no", "no", "no never"]
    assert texts(apart) == ["stop", "stop"]
    assert texts(within) == ["last words bye", "bye bye"]
