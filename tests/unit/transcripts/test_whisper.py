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
        ('{"segments": {}}', "segments"),
        ('{"segments": [{"start": 2, "end": 1, "text": "secret"}]}', "segments[0], end"),
        ('{"segments": [{"start": -1, "end": 1, "text": "secret"}]}', "segments[0], start"),
        ('{"segments": [{"start": 0, "end": NaN, "text": "secret"}]}', "segments[0].end"),
        ('{"segments": [{"start": 0, "end": 1e999, "text": "secret"}]}', "segments"),
        ('{"segments": [{"start": 0, "end": 1, "text": "secret\\u0000"}]}', "segments[0], text"),
        ('{"segments": [{"start": 0, "end": 1, "text": "secret\\ud83d and more"}]}', "segments[0], text"),
        ('{"segments": [{"start": 0, "end": 1, "text": "secret\\udc00"}]}', "segments[0], text"),
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


def test_words_beside_the_segments_belong_to_them_by_time() -> None:
    words = [
        {"word": "Where", "start": 0.0, "end": 0.4},
        {"word": "to", "start": 0.4, "end": 1.0},
        {"word": "North", "start": 1.0, "end": 1.6},
        {"word": "then", "start": 2.7, "end": 2.9},
    ]
    segments = [{"start": 0.0, "end": 1.0, "text": " Where to?"}, {"start": 1.0, "end": 2.0, "text": " North, then."}]

    read_segments = read({"task": "transcribe", "duration": 3.0, "segments": segments, "words": words})

    assert [[word.text for word in segment.words] for segment in read_segments] == [["Where", "to"], ["North", "then"]]
    assert [segment.text for segment in read_segments] == ["Where to?", "North, then."]


def test_words_beside_segments_that_have_their_own_are_the_same_words_again() -> None:
    word = {"word": "Hi", "start": 0, "end": 1, "score": 0.5}
    document = {
        "segments": [{"start": 0, "end": 1, "text": "Hi", "words": [word]}],
        "words": [word],
        "word_segments": [word],
    }

    assert [word.text for segment in read(document) for word in segment.words] == ["Hi"]


def test_words_without_segments_become_segments_that_keep_the_text() -> None:
    words = [
        {"word": word, "start": float(index), "end": index + 1.0}
        for index, word in enumerate(["Yes", "we", "can", "Dr", "Ek", "is", "the", "twenty", "first"])
    ]
    text = "Yes, we can. \u201cDr. Ek\u201d is the 21st!"

    segments = read({"task": "transcribe", "language": "english", "text": text, "words": words})

    assert " ".join(segment.text for segment in segments) == text
    assert (segments[0].text, segments[0].start_time, segments[0].end_time) == ("Yes, we can.", 0.0, 3.0)
    assert [word.text for segment in segments for word in segment.words] == [word["word"] for word in words]
    assert {segment.language for segment in segments} == {"english"}


def test_words_without_segments_and_text_are_cut_at_pauses_and_speakers() -> None:
    words = [
        {"word": "one", "start": 0.0, "end": 0.5, "speaker": "A"},
        {"word": "two", "start": 0.5, "end": 1.0, "speaker": "A"},
        {"word": "three", "start": 3.0, "end": 3.5, "speaker": "A"},
        {"word": "four", "start": 3.5, "end": 4.0, "speaker": "B"},
    ]

    assert [(s.speaker, s.text) for s in read({"words": words})] == [("A", "one two"), ("A", "three"), ("B", "four")]


def test_openais_diarized_output_has_speakers() -> None:
    segments = [
        {
            "type": "transcript.text.segment",
            "id": "seg_1",
            "start": 0.0,
            "end": 1.5,
            "text": " Hello there",
            "speaker": "agent",
        },
        {"type": "transcript.text.segment", "id": "seg_2", "start": 1.5, "end": 2.0, "text": " Hi", "speaker": "A"},
    ]

    read_segments = read(
        {"task": "transcribe", "duration": 2.0, "text": "Hello there Hi", "segments": segments, "usage": {}}
    )

    assert [(s.speaker, s.text) for s in read_segments] == [("agent", "Hello there"), ("A", "Hi")]


@pytest.mark.parametrize("odd", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "9" * 5_000, "null"])
def test_a_number_that_is_not_finite_is_unknown_where_it_is_optional_and_ignored_where_it_is_unread(odd: str) -> None:
    text = (
        f'{{"segments": [{{"start": 0, "end": 2, "text": "So be it", "avg_logprob": {odd}, "no_speech_prob": {odd},'
        f'"words": [{{"word": "So", "start": 0, "end": 0.5, "probability": 0.5}},'
        f'{{"word": "be", "start": {odd}, "end": {odd}, "probability": {odd}}},'
        f'{{"word": "it", "start": 1, "end": 1.5, "score": {odd}}}]}}], "info": {{"language_probability": {odd}}}}}'
    )

    (segment,) = parse_transcript(text.encode(), "x.json").segments

    assert segment.confidence is None
    assert segment.words == (
        TranscriptWord("So", 0.0, 0.5, 0.5),
        TranscriptWord("be", 0.5, 1.0, None),
        TranscriptWord("it", 1.0, 1.5, None),
    )


def test_a_required_number_that_is_not_finite_is_refused_as_such() -> None:
    with pytest.raises(TranscriptError, match=r"^x.json: segments\[0\]\.start: must be a finite number$"):
        parse_transcript(b'{"segments": [{"start": Infinity, "end": 1, "text": "x"}]}', "x.json")


@pytest.mark.parametrize(("printed", "stored"), [(1.0000001, 1.0), (-1e-9, 0.0), (0.4, 0.4)])
def test_a_probability_that_was_rounded_beyond_its_limit_is_at_the_limit(printed: float, stored: float) -> None:
    words = [{"word": "Hi", "start": 0, "end": 1, "probability": printed}]
    (segment,) = read([{"start": 0, "end": 1, "text": "Hi", "words": words}])

    assert [word.probability for word in segment.words] == [stored]
    assert segment.confidence == stored


def test_a_word_without_times_between_neighbours_that_overlap_has_no_length() -> None:
    words = [
        {"word": "Over", "start": 0.5, "end": 3.0},
        {"word": "50"},
        {"word": "€"},
        {"word": "each", "start": 2.0, "end": 4.0},
        {"word": "or", "end": 1.0},
        {"word": "so", "start": 5.0},
    ]
    (segment,) = read([{"start": 1.0, "end": 4.5, "text": "Over 50 € each or so", "words": words}])

    assert [(word.text, word.start_time, word.end_time) for word in segment.words] == [
        ("Over", 0.5, 3.0),
        ("50", 3.0, 3.0),
        ("€", 3.0, 3.0),
        ("each", 2.0, 4.0),
        ("or", 1.0, 1.0),
        ("so", 5.0, 5.0),
    ]


def test_the_words_of_a_segment_without_text_are_its_text() -> None:
    words = [{"word": " all", "start": 0, "end": 1}, {"word": " here", "start": 1, "end": 2}]

    assert [segment.text for segment in read([{"start": 0, "end": 2, "text": " ", "words": words}])] == ["all here"]


def test_one_key_twice_is_refused_where_one_of_the_values_would_be_lost() -> None:
    segments = '"segments": [{{"start": 0, "end": 1, "text": "{}"}}]'

    with pytest.raises(TranscriptError, match="one key twice"):
        parse_transcript(f"{{{segments.format('one')}, {segments.format('two')}}}".encode(), "x.json")


def test_stable_ts_and_whisper_timestamped_differ_in_fields_that_are_known() -> None:
    stable = {"word": " Hi", "start": 0.0, "end": 1.0, "probability": 0.5, "tokens": [1], "segment_id": 0, "id": 0}
    timestamped = {"text": "Hi", "start": 0.0, "end": 1.0, "confidence": 0.5}

    for word in (stable, timestamped):
        document = {"segments": [{"start": 0, "end": 1, "text": " Hi", "words": [word]}], "ori_dict": {"segments": []}}
        assert [segment.words for segment in read(document)] == [(TranscriptWord("Hi", 0.0, 1.0, 0.5),)]


def test_a_segment_without_speaker_has_that_of_its_words_where_they_agree() -> None:
    words = [{"word": "so", "start": 0, "end": 1, "speaker": "A"}, {"word": "be", "start": 1, "end": 2, "speaker": "A"}]
    segment = {"start": 0, "end": 2, "text": "so be"}

    assert [each.speaker for each in read([{**segment, "words": words}])] == ["A"]
    assert [each.speaker for each in read([{**segment, "words": [words[0], {**words[1], "speaker": "B"}]}])] == [None]


def test_half_a_surrogate_pair_in_place_of_a_number_is_refused() -> None:
    with pytest.raises(TranscriptError, match=r"^x\.json: holds half a surrogate pair"):
        parse_transcript(b'{"segments": [{"start": "\\ud800", "end": 1, "text": "x"}]}', "x.json")


def test_words_that_the_text_lacks_are_stored_too() -> None:
    words = [{"word": "Um", "start": 0, "end": 1}, {"word": "Hello", "start": 5, "end": 6}]

    segments = read({"text": "Hello", "words": words})

    assert [(segment.text, [word.text for word in segment.words]) for segment in segments] == [
        ("Um", ["Um"]),
        ("Hello", ["Hello"]),
    ]


@pytest.mark.parametrize("key", ["events", "result", "results", "Transcript", "monologues"])
def test_a_key_of_another_format_beside_the_segments_changes_nothing(key: str) -> None:
    assert [s.text for s in read({"segments": [{"start": 0, "end": 1, "text": "Hi"}], key: []})] == ["Hi"]
