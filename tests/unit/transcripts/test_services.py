"""The JSON of Deepgram, AssemblyAI, Amazon Transcribe and Google Meet's API."""

from __future__ import annotations

import json
from typing import Any

import pytest

from worker.transcripts import TranscriptError, parse_transcript


def read(document: Any) -> list[tuple[str | None, str, float, float]]:
    return [(s.speaker, s.text, s.start_time, s.end_time) for s in parsed(document)]


def parsed(document: Any) -> Any:
    return parse_transcript(json.dumps(document).encode(), "x.json").segments


def words_of(document: Any) -> list[str]:
    return [word.text for segment in parsed(document) for word in segment.words]


def deepgram_word(word: str, start: float, speaker: int | None = None) -> dict[str, Any]:
    bare = word.strip(".,?").lower()
    return {
        "word": bare,
        "punctuated_word": word,
        "start": start,
        "end": start + 0.5,
        "confidence": 0.5,
        "speaker": speaker,
    }


def deepgram(*channels: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
    texts = [" ".join(word["punctuated_word"] for word in words) for words in channels]
    return {
        "metadata": {"channels": len(channels)},
        "results": {
            "channels": [
                {
                    "alternatives": [{"transcript": text, "words": words}, {"transcript": "other"}],
                    "detected_language": "en",
                }
                for text, words in zip(texts, channels, strict=True)
            ],
            **more,
        },
    }


def test_deepgrams_words_become_segments_by_speaker_and_sentence() -> None:
    words = [
        deepgram_word("Ready?", 0.0, 0),
        deepgram_word("Go.", 0.5, 0),
        deepgram_word("I", 1.0, 1),
        deepgram_word("am", 1.5, 1),
    ]

    assert read(deepgram(words)) == [
        ("Speaker 0", "Ready?", 0.0, 0.5),
        ("Speaker 0", "Go.", 0.5, 1.0),
        ("Speaker 1", "I am", 1.0, 2.0),
    ]
    assert words_of(deepgram(words)) == ["Ready?", "Go.", "I", "am"]
    assert {segment.language for segment in parsed(deepgram(words))} == {"en"}


def test_deepgrams_channels_are_named_and_ordered_by_time() -> None:
    document = deepgram([deepgram_word("one", 0.0, 0), deepgram_word("three", 4.0, 0)], [deepgram_word("two", 2.0)])

    assert read(document) == [
        ("Channel 0, Speaker 0", "one", 0.0, 0.5),
        ("Channel 1", "two", 2.0, 2.5),
        ("Channel 0, Speaker 0", "three", 4.0, 4.5),
    ]


def test_deepgrams_utterances_are_segments() -> None:
    words = [deepgram_word("Hello", 0.0, 0), deepgram_word("there.", 0.5, 0)]
    utterance = {
        "start": 0.0,
        "end": 1.0,
        "confidence": 0.75,
        "channel": 0,
        "transcript": "Hello there.",
        "words": words,
        "speaker": 0,
    }
    document = deepgram(words, utterances=[utterance])

    assert read(document) == [("Speaker 0", "Hello there.", 0.0, 1.0)]
    assert words_of(document) == ["Hello", "there."]
    assert [segment.confidence for segment in parsed(document)] == [0.75]


def test_utterances_that_lack_words_are_not_read_instead_of_the_words() -> None:
    words = [deepgram_word("Hello", 0.0, 0), deepgram_word("there.", 0.5, 0)]
    short = {"start": 0.0, "end": 0.5, "channel": 0, "transcript": "Hello", "text": "Hello", "words": words[:1]}
    part = {"start": 0, "end": 500, "text": "Who", "words": ASSEMBLYAI["words"][:1]}

    assert words_of(deepgram(words, utterances=[short])) == ["Hello", "there."]
    assert words_of({**ASSEMBLYAI, "utterances": [part]}) == ["Who", "pays?", "We", "do."]


def assemblyai_word(text: str, start: int, speaker: str | None = None, **more: Any) -> dict[str, Any]:
    return {"text": text, "start": start, "end": start + 500, "confidence": 0.5, "speaker": speaker, **more}


ASSEMBLYAI: dict[str, Any] = {
    "id": "1",
    "status": "completed",
    "audio_url": "https://example.org/a.mp3",
    "audio_duration": 3,
    "language_code": "en_us",
    "text": "Who pays? We do.",
    "words": [
        assemblyai_word("Who", 0, "A"),
        assemblyai_word("pays?", 500, "A"),
        assemblyai_word("We", 1250, "B"),
        assemblyai_word("do.", 1750, "B"),
    ],
    "utterances": None,
}


def test_assemblyais_words_become_segments_by_speaker_and_sentence() -> None:
    expected = [("Speaker A", "Who pays?", 0.0, 1.0), ("Speaker B", "We do.", 1.25, 2.25)]
    words = ASSEMBLYAI["words"]
    utterances = [
        {"speaker": "A", "text": "Who pays?", "start": 0, "end": 1000, "confidence": 0.5, "words": words[:2]},
        {"speaker": "B", "text": "We do.", "start": 1250, "end": 2250, "confidence": 0.5, "words": words[2:]},
    ]

    assert read(ASSEMBLYAI) == expected
    assert read({**ASSEMBLYAI, "utterances": utterances}) == expected
    assert read({"sentences": utterances, "audio_duration": 3, "confidence": 0.5}) == expected
    assert words_of({**ASSEMBLYAI, "utterances": utterances}) == words_of(ASSEMBLYAI) == ["Who", "pays?", "We", "do."]
    assert {segment.language for segment in parsed(ASSEMBLYAI)} == {"en_us"}


def test_assemblyais_channels_are_named() -> None:
    part = {"text": "Hi", "start": 0, "end": 500, "words": []}
    utterances = [{**part, "speaker": "1", "channel": "1"}, {**part, "speaker": "2B", "channel": "2"}]

    assert [speaker for speaker, *_ in read({**ASSEMBLYAI, "words": None, "utterances": utterances})] == [
        "Channel 1",
        "2B",
    ]


@pytest.mark.parametrize("status", ["queued", "processing", "error"])
def test_assemblyais_transcript_that_is_not_completed_is_refused(status: str) -> None:
    with pytest.raises(TranscriptError, match="status: is a transcript that is not completed"):
        read({**ASSEMBLYAI, "status": status, "text": None, "words": None})


def aws_item(content: str, start: str | None = None, end: str | None = None, **more: Any) -> dict[str, Any]:
    times = {} if start is None else {"start_time": start, "end_time": end}
    kind = "punctuation" if start is None else "pronunciation"
    return {"type": kind, "alternatives": [{"confidence": "0.5", "content": content}], **times, **more}


AWS_ITEMS = [
    aws_item("Well", "0.009", "0.4"),
    aws_item(","),
    aws_item("no", "0.5", "0.9"),
    aws_item("."),
    aws_item("Why", "1.0", "1.4"),
    aws_item("?"),
]


def test_aws_items_become_segments_with_their_punctuation() -> None:
    document = {
        "jobName": "j",
        "status": "COMPLETED",
        "results": {"language_code": "en-US", "transcripts": [{"transcript": "Well, no. Why?"}], "items": AWS_ITEMS},
    }

    assert read(document) == [(None, "Well, no.", 0.009, 0.9), (None, "Why?", 1.0, 1.4)]
    assert words_of(document) == ["Well,", "no.", "Why?"]
    assert [segment.confidence for segment in parsed(document)] == [0.5, 0.5]
    assert {segment.language for segment in parsed(document)} == {"en-US"}


def test_aws_speakers_stand_in_the_items_or_beside_them() -> None:
    labels = [
        {"start_time": item["start_time"], "end_time": item["end_time"], "speaker_label": f"spk_{int(index > 1)}"}
        for index, item in enumerate(item for item in AWS_ITEMS if "start_time" in item)
    ]
    beside = {"results": {"items": AWS_ITEMS, "transcripts": [], "speaker_labels": {"segments": [{"items": labels}]}}}
    speakers = {item["start_time"]: item["speaker_label"] for item in labels}
    within = [{**item, "speaker_label": speakers.get(item.get("start_time"), "spk_0")} for item in AWS_ITEMS]

    expected = [("spk_0", "Well, no.", 0.009, 0.9), ("spk_1", "Why?", 1.0, 1.4)]
    assert read(beside) == read({"results": {"items": within}}) == expected


def test_aws_channels_are_read_one_by_one() -> None:
    channels = [{"channel_label": "ch_0", "items": AWS_ITEMS[:4]}, {"channel_label": "ch_1", "items": AWS_ITEMS[4:]}]
    document = {
        "results": {
            "transcripts": [{"transcript": "Well, no. Why?"}],
            "items": AWS_ITEMS,
            "channel_labels": {"channels": channels, "number_of_channels": 2},
        }
    }

    assert read(document) == [("ch_0", "Well, no.", 0.009, 0.9), ("ch_1", "Why?", 1.0, 1.4)]


def test_meets_entries_are_read_with_times_from_the_first() -> None:
    def entry(text: str, start: str, end: str, participant: str) -> dict[str, Any]:
        name = f"conferenceRecords/c/participants/{participant}"
        return {"participant": name, "text": text, "languageCode": "en-US", "startTime": start, "endTime": end}

    document = {
        "transcriptEntries": [
            entry("Can we start?", "2026-03-01T23:59:59.5Z", "2026-03-02T00:00:01.250Z", "11"),
            entry("Sure", "2026-03-02T00:00:01.000001Z", "2026-03-02T00:00:02Z", "12"),
        ]
    }

    assert read(document) == [("11", "Can we start?", 0.0, 1.75), ("12", "Sure", 1.500001, 2.5)]
    assert {segment.language for segment in parsed(document)} == {"en-US"}


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        (deepgram([]) | {"results": {"channels": [{"alternatives": [{"transcript": "secret"}]}]}}, "without words"),
        ({**ASSEMBLYAI, "words": None, "text": "secret"}, "without words and times"),
        ({"results": {"transcripts": [{"transcript": "secret"}], "items": []}}, "without items and times"),
        ({"results": {"items": [aws_item("secret", "one", "2")]}}, r"results\.items\[0\]\.start_time"),
        ({"results": {"items": [aws_item("secret")]}}, "words without times"),
        ({"results": {"items": [aws_item("secret", "2.0", "1.0")]}}, r"results\.items, words\[0\]\.end"),
        ({"transcriptEntries": [{"text": "secret", "startTime": "2026-03-01T10:00:00", "endTime": "x"}]}, "startTime"),
        ({"transcriptEntries": [], "nextPageToken": "secret"}, "nextPageToken: is one page of several"),
        ({**ASSEMBLYAI, "words": [assemblyai_word("secret", -5)]}, r"words\[0\]\.start"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(document: Any, problem: str) -> None:
    with pytest.raises(TranscriptError, match=problem) as refused:
        read(document)

    assert "secret" not in str(refused.value)
