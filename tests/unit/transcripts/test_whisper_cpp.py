"""whisper.cpp's JSON, with and without its tokens."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.transcripts import TranscriptError, parse_transcript


def segment(start: int, end: int, text: str, **more: Any) -> dict[str, Any]:
    return {
        "timestamps": {"from": "ignored", "to": "ignored"},
        "offsets": {"from": start, "to": end},
        "text": text,
        **more,
    }


def token(text: str, start: int, end: int, p: float) -> dict[str, Any]:
    return {"text": text, "offsets": {"from": start, "to": end}, "id": 1, "p": p, "t_dtw": -1}


def document(*segments: dict[str, Any]) -> dict[str, Any]:
    return {"systeminfo": "x", "params": {"language": "auto"}, "result": {"language": "sv"}, "transcription": segments}


def read(whole: Any) -> Any:
    return parse_transcript(json.dumps(whole, ensure_ascii=False).encode(), "x.json").segments


def test_segments_are_read_with_times_language_and_speaker() -> None:
    first, second, third = read(
        document(
            segment(0, 1500, " Hej allihop.", speaker="0"),
            segment(1500, 2250, " Ska vi?", speaker="?", speaker_turn_next=True),
            segment(2250, 2300, " Ja.", speaker="1"),
            segment(2300, 2400, "  "),
        )
    )

    assert (first.text, first.start_time, first.end_time, first.language) == ("Hej allihop.", 0.0, 1.5, "sv")
    assert [each.speaker for each in (first, second, third)] == ["Speaker 0", None, "Speaker 1"]


def test_tokens_are_put_together_to_words_and_marks_left_out() -> None:
    tokens = [
        token("[_BEG_]", 0, 0, 1.0),
        token(" All", 0, 400, 0.5),
        token("i", 400, 500, 0.7),
        token("hop", 500, 900, 0.6),
        token(" här", 900, 1200, 1.0),
        token(".", 1200, 1300, 0.8),
        token("[_TT_65]", 1300, 1300, 1.0),
    ]
    (read_segment,) = read(document(segment(0, 1300, " Allihop här.", tokens=tokens)))

    assert [(word.text, word.start_time, word.end_time) for word in read_segment.words] == [
        ("Allihop", 0.0, 0.9),
        ("här.", 0.9, 1.3),
    ]
    assert [word.probability for word in read_segment.words] == pytest.approx([0.6, 0.9])


def test_a_character_cut_between_tokens_is_whole_again() -> None:
    whole = json.dumps(
        document(segment(0, 900, " \u00e5r", tokens=[token(" @", 0, 300, 0.5), token("#r", 300, 900, 0.5)])),
        ensure_ascii=False,
    ).encode()
    cut = whole.replace(b'" @"', b'" \xc3"').replace(b'"#r"', b'"\xa5r"')

    (read_segment,) = parse_transcript(cut, "x.json").segments

    assert [word.text for word in read_segment.words] == ["\u00e5r"]


def test_tokens_that_are_not_the_text_are_no_words() -> None:
    (read_segment,) = read(document(segment(0, 900, " one two", tokens=[token(" one", 0, 300, 0.5)])))

    assert (read_segment.text, read_segment.words) == ("one two", ())


@pytest.mark.parametrize("bad", [b'"text": "\xc3"', b'"text": 5', b'"text": "\\ud800"'])
def test_what_cannot_be_read_is_refused_with_its_place(bad: bytes) -> None:
    content = b'{"transcription": [{"offsets": {"from": 0, "to": 9}, ' + bad + b"}]}"

    with pytest.raises(TranscriptError, match=r"bad.json: transcription\[0\]"):
        parse_transcript(content, "bad.json")
