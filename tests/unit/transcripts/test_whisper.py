"""JSON as the Whisper family writes it."""

import json
import math
from typing import Any

import pytest

from worker.transcripts import TranscriptError, TranscriptWord, parse_transcript

OPENAI: dict[str, Any] = {
    "text": " Hello world. Grüße!",
    "segments": [
        {
            "id": 0,
            "seek": 0,
            "start": 0.0,
            "end": 1.5,
            "text": " Hello world.",
            "tokens": [50364, 2425],
            "temperature": 0.0,
            "avg_logprob": -0.25,
            "compression_ratio": 1.1,
            "no_speech_prob": 0.01,
            "words": [
                {"word": " Hello", "start": 0.0, "end": 0.6, "probability": 0.9},
                {"word": " world.", "start": 0.6, "end": 1.5, "probability": 0.8},
            ],
        },
        {"id": 1, "start": 2, "end": 3, "text": " Grüße! 🎉", "avg_logprob": 0.0, "words": []},
        {"id": 2, "start": 3, "end": 3, "text": " "},
    ],
    "language": "en",
}


def read(document: object) -> Any:
    return parse_transcript(json.dumps(document).encode(), "x.json").segments


def test_openai_whispers_json_is_read_with_words_confidence_and_language() -> None:
    first, second = read(OPENAI)

    assert (first.text, first.start_time, first.end_time, first.language) == ("Hello world.", 0.0, 1.5, "en")
    assert first.words == (TranscriptWord("Hello", 0.0, 0.6, 0.9), TranscriptWord("world.", 0.6, 1.5, 0.8))
    assert first.confidence == pytest.approx(math.exp(-0.25))
    assert (second.text, second.confidence, second.words) == ("Grüße! 🎉", 1.0, ())


@pytest.mark.parametrize(
    "dump",
    [
        {"segments": OPENAI["segments"], "info": {"language": "en", "duration": 3.0}},
        [OPENAI["segments"], {"language": "en", "language_probability": 0.98}],
    ],
    ids=["object with info", "pair as transcribe returns it"],
)
def test_faster_whispers_dumps_say_the_same(dump: object) -> None:
    assert read(dump) == read(OPENAI)


def test_a_bare_list_of_segments_is_read_without_a_language() -> None:
    assert [segment.language for segment in read(OPENAI["segments"])] == [None, None]
    assert read([]) == ()


def test_words_dumped_as_named_tuples_are_read() -> None:
    segment = {"start": 0, "end": 1, "text": "Hi", "words": [[0.1, 0.9, " Hi", 0.7]]}

    assert read([segment])[0].words == (TranscriptWord("Hi", 0.1, 0.9, 0.7),)
    assert read([segment])[0].confidence == pytest.approx(0.7)


def test_whisperx_has_speakers_scores_and_words_it_could_not_place() -> None:
    words = [
        {"word": "In", "start": 1.0, "end": 1.2, "score": 0.5, "speaker": "SPEAKER_01"},
        {"word": "2026"},
        {"word": "we", "start": 1.8, "end": 2.0, "score": 0.5},
        {"word": "met."},
    ]
    (segment,) = read(
        {"segments": [{"start": 1, "end": 2.5, "text": "In 2026 we met.", "words": words, "speaker": "S1"}]}
    )

    assert segment.speaker == "S1"
    assert segment.confidence is None
    assert [(word.text, word.start_time, word.end_time, word.probability) for word in segment.words] == [
        ("In", 1.0, 1.2, 0.5),
        ("2026", 1.2, 1.8, None),
        ("we", 1.8, 2.0, 0.5),
        ("met.", 2.0, 2.5, None),
    ]


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ('{"segments": [{"start": "0", "end": 1, "text": "secret"}]}', "segments[0].start"),
        ('{"segments": [{"start": 0, "end": 1}]}', "segments[0]"),
        ('{"transcription": []}', "segments"),
        ('{"segments": [{"start": 2, "end": 1, "text": "secret"}]}', "segments[0], end"),
        ('{"segments": [{"start": -1, "end": 1, "text": "secret"}]}', "segments[0], start"),
        ('{"segments": [{"start": 0, "end": NaN, "text": "secret"}]}', "segments[0].end"),
        ('{"segments": [{"start": 0, "end": 1e999, "text": "secret"}]}', "segments"),
        ('{"segments": [{"start": 0, "end": 1, "text": "secret\\u0000"}]}', "segments[0], text"),
        ('{"segments": [{"start": 0, "end": 1, "text": "secret\\ud83d and more"}]}', "segments[0].text"),
        ('{"segments": [{"start": 0, "end": 1, "text": "secret\\udc00"}]}', "segments[0].text"),
        (
            '[{"start": 0, "end": 1, "text": "a", "words": [{"word": "secret", "start": 1, "end": 0}]}]',
            "segments[0], words[0].end",
        ),
        (
            '[{"start": 0, "end": 1, "text": "a", "words": [{"word": "b", "probability": 1.5}]}]',
            "segments[0], words[0].probability",
        ),
        ('{"segments": [\n{"start": 0, "end": 1, "text": secret}]}', "line 2, column 32"),
        ('{"segments": [', "line 1, column 15"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_file_and_place(content: str, where: str) -> None:
    with pytest.raises(TranscriptError) as refused:
        parse_transcript(content.encode(), "bad.json")

    assert str(refused.value).startswith("bad.json: ")
    assert where in str(refused.value)
    assert "secret" not in str(refused.value)
