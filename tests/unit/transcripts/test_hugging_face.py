"""The chunks of Hugging Face's Transformers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.transcripts import TranscriptError, parse_transcript


def read(document: Any) -> list[tuple[str | None, str, float, float]]:
    segments = parse_transcript(json.dumps(document, ensure_ascii=False).encode(), "x.json").segments
    return [(segment.speaker, segment.text, segment.start_time, segment.end_time) for segment in segments]


def chunk(text: str, start: float | None, end: float | None, **more: Any) -> dict[str, Any]:
    return {"timestamp": [start, end], "text": text, **more}


def test_each_chunk_is_a_segment_and_a_missing_end_is_the_next_start() -> None:
    chunks = [chunk(" We are live.", 0.0, 2.5), chunk(" Are we?", 2.5, None), chunk(" I think so", 3.0, None)]

    assert read({"text": " We are live. Are we? I think so", "chunks": chunks}) == [
        (None, "We are live.", 0.0, 2.5),
        (None, "Are we?", 2.5, 3.0),
        (None, "I think so", 3.0, 3.0),
    ]


def test_chunks_of_one_word_each_are_put_together() -> None:
    chunks = [chunk(" We", 0.0, 0.2), chunk(" ship.", 0.2, 0.9), chunk(" When?", 1.0, None)]
    document = {"text": " We ship. When?", "chunks": chunks}

    assert read(document) == [(None, "We ship.", 0.0, 0.9), (None, "When?", 1.0, 1.0)]
    segments = parse_transcript(json.dumps(document).encode(), "x.json").segments
    assert [word.text for segment in segments for word in segment.words] == ["We", "ship.", "When?"]


def test_chunks_without_blanks_are_sentences_where_the_language_has_none() -> None:
    chunks = [chunk("今天我们讨论预算。", 0.0, 2.0), chunk("好的，请开始吧。", 2.0, 4.0)]

    assert [text for _, text, _, _ in read({"chunks": chunks})] == ["今天我们讨论预算。", "好的，请开始吧。"]


def test_speakers_of_insanely_fast_whisper_are_read_instead_of_the_chunks() -> None:
    said = [chunk(" Who is next?", 0.0, 1.0), chunk(" I am next.", 1.0, 2.0)]
    speakers = [{**each, "speaker": f"SPEAKER_0{n}"} for n, each in enumerate(said)]

    assert read({"speakers": speakers, "chunks": said, "text": " Who is next? I am next."}) == [
        ("SPEAKER_00", "Who is next?", 0.0, 1.0),
        ("SPEAKER_01", "I am next.", 1.0, 2.0),
    ]
    assert [text for _, text, _, _ in read({"speakers": [], "chunks": said})] == ["Who is next?", "I am next."]
    assert read({"speakers": speakers[:1], "chunks": said}) == [
        (None, "Who is next?", 0.0, 1.0),
        (None, "I am next.", 1.0, 2.0),
    ], "a diarizer that ended early loses no word"


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"text": "secret words", "chunks": []}, "return_timestamps=True"),
        ({"chunks": [chunk("secret words", 2.0, 1.0)]}, r"chunks\[0\], end: must not lie before"),
        ({"chunks": [{"timestamp": [0], "text": "secret words"}]}, r"chunks\[0\]\.timestamp"),
        ({"chunks": [chunk(" secret", None, None), chunk(" word", None, None)]}, "words without times"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(document: Any, problem: str) -> None:
    with pytest.raises(TranscriptError, match=problem) as refused:
        read(document)

    assert "secret" not in str(refused.value)
