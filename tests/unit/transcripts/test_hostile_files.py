"""Whatever a file holds, reading it ends with a transcript or with a refusal that names it."""

from __future__ import annotations

import json
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.transcripts import TranscriptError, parse_transcript

FRAGMENTS = [
    "WEBVTT", "NOTE", "STYLE", "REGION", "\n", "\n\n", "\r\n", "\r", " ", "1\n", "2\n", "-->", "00:1.000 --> 00:2.000",
    "00:00:01,000 --> 00:00:02,000\n", "00:00:03,000 --> 00:00:02,000\n", "<v Ann>", "</v>", "<v", ">", "<b>", "{\\an}",
    "&amp;", "&#0;", "&#xd800;", "Ann: ", "[S1]: ", "hello", "はい", "e\u0301", "👩🏽‍💻", "\u2028", "\x00", "\ufeff",
    "99:99:99.999 --> 0:0.0", "{", "}", "[", "]", '"segments":', '"start":', '"end":', '"text":', '"words":', '"a"',
    "1e999", "NaN", "null", "-1", ",", ":", '"\\ud800"', '"\\u0000"',
]  # fmt: skip
BEGINNINGS = ["", "WEBVTT\n\n", "1\n00:00:01,000 --> 00:00:02,000\n", '{"segments":[{"start":0,"end":1,"text":', "["]


@given(st.sampled_from(BEGINNINGS), st.lists(st.sampled_from(FRAGMENTS), max_size=40))
def test_any_text_gives_a_transcript_in_order_or_a_refusal(beginning: str, fragments: list[str]) -> None:
    try:
        transcript = parse_transcript((beginning + "".join(fragments)).encode(), "odd")
    except TranscriptError as refusal:
        assert str(refusal).startswith("odd: ")
    else:
        assert all(segment.text for segment in transcript.segments)
        assert all(one.start_time <= other.start_time for one, other in pairwise(transcript.segments))


@given(st.binary(max_size=200))
def test_any_bytes_give_a_transcript_or_a_refusal(content: bytes) -> None:
    try:
        parse_transcript(content, "odd")
    except TranscriptError as refusal:
        assert str(refusal).startswith("odd: ")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\x00 \t\r\n\f\v"), min_size=1), max_size=20))
def test_every_text_that_can_be_stored_comes_out_of_json_as_it_went_in(texts: list[str]) -> None:
    document = {"segments": [{"start": 0, "end": 1, "text": f" {text}"} for text in texts]}

    transcript = parse_transcript(json.dumps(document).encode(), "x.json")

    assert [segment.text for segment in transcript.segments] == texts


@pytest.mark.parametrize("opening", ["[", '{"a":', '{"segments":[{"start":0,"end":1,"text":"a","more":['])
def test_json_that_is_nested_without_end_is_refused(opening: str) -> None:
    with pytest.raises(TranscriptError, match=r"nested too deeply|not JSON"):
        parse_transcript((opening + "[" * 100_000).encode(), "deep.json")


def test_the_first_cue_of_an_srt_file_may_stand_apart_from_its_number() -> None:
    text = "\n1\n\n\n00:00:01,000 --> 00:00:02,000\nhello\n"

    assert [segment.text for segment in parse_transcript(text.encode(), "x.srt").segments] == ["hello"]


@pytest.mark.parametrize("opened", ["<v ", "<v.a", "<font ", "{\\"])
def test_tags_that_are_never_closed_are_text(opened: str) -> None:
    text = f"WEBVTT\n\n00:01.000 --> 00:02.000\n{opened * 2_000}\n"

    assert len(parse_transcript(text.encode(), "x.vtt").segments) == 1
