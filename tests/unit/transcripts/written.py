"""Write known words in every format that is read, as the programs that write these formats do."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html import escape
from typing import Any

Lines = Sequence[Sequence[str]]
"""What is said: lines of words. Line n is said from second 2n on, half a second a word at most."""


def _clock(seconds: float, mark: str) -> str:
    ms = round(seconds * 1000)
    return f"{ms // 3_600_000:02}:{ms // 60_000 % 60:02}:{ms // 1000 % 60:02}{mark}{ms % 1000:03}"


def _span(index: int) -> tuple[float, float]:
    return 2.0 * index, 2.0 * index + 1.5


def _timed(lines: Lines) -> list[tuple[str, float, float, int]]:
    """Return each word with its times and the line in which it stands."""
    return [
        (word, 2.0 * index + place / len(line), 2.0 * index + (place + 1) / len(line), index)
        for index, line in enumerate(lines)
        for place, word in enumerate(line)
    ]


def _vtt(cues: Sequence[str], header: str = "WEBVTT") -> str:
    times = (_span(index) for index in range(len(cues)))
    body = (f"{_clock(a, '.')} --> {_clock(b, '.')}\n{cue}\n" for (a, b), cue in zip(times, cues, strict=True))
    return f"{header}\n\n" + "\n".join(body)


def vtt(lines: Lines) -> str:
    """WebVTT with escapes, two words a line."""
    return _vtt(["\n".join(escape(" ".join(line[n : n + 2])) for n in range(0, len(line), 2)) for line in lines])


def vtt_with_tags(lines: Lines) -> str:
    """WebVTT of a recorder: a voice, a class, a time and bold print around every word."""
    return _vtt(
        ["<v Ida>" + " ".join(f"<c.x><00:00:01.000><b>{escape(w)}</b></c>" for w in line) + "</v>" for line in lines]
    )


def vtt_unescaped(lines: Lines) -> str:
    """WebVTT of a program that escapes nothing."""
    return _vtt([" ".join(line) for line in lines])


def teams_metadata(lines: Lines) -> str:
    """Teams' WebVTT with a JSON object in each cue."""
    return _vtt([json.dumps({"speakerName": "Ida", "spokenText": " ".join(line)}) for line in lines])


def youtube(lines: Lines) -> str:
    """YouTube's rolling captions."""
    cues = []
    before = " "
    for index, line in enumerate(lines):
        start = 2.0 * index
        text = escape(" ".join(line))
        new = "".join(f"<{_clock(start + n / 100, '.')}><c> {escape(w)}</c>" for n, w in enumerate(line) if n)
        times = (_clock(start, "."), _clock(start + 1.99, "."), _clock(start + 2, "."))
        cues.append(f"{times[0]} --> {times[1]} align:start position:0%\n{before}\n{escape(line[0])}{new}\n")
        cues.append(f"{times[1]} --> {times[2]} align:start position:0%\n{text}\n \n")
        before = text
    return "WEBVTT\nKind: captions\nLanguage: en\n\n" + "\n".join(cues)


def srt(lines: Lines) -> str:
    """SRT with Windows line ends, two words a line."""
    cues = []
    for index, line in enumerate(lines):
        start, end = _span(index)
        text = "\n".join(" ".join(line[n : n + 2]) for n in range(0, len(line), 2))
        cues.append(f"{index + 1}\n{_clock(start, ',')} --> {_clock(end, ',')}\n{text}\n")
    return "\n".join(cues).replace("\n", "\r\n")


def sbv(lines: Lines) -> str:
    """SBV."""
    cues = []
    for index, line in enumerate(lines):
        start, end = _span(index)
        cues.append(f"{_clock(start, '.')},{_clock(end, '.')}\n{' '.join(line)}\n")
    return "\n".join(cues)


def _segments(lines: Lines) -> list[dict[str, Any]]:
    times = (_span(index) for index in range(len(lines)))
    return [{"start": a, "end": b, "text": " " + " ".join(line)} for (a, b), line in zip(times, lines, strict=True)]


def _words(lines: Lines, *, name: str = "word", scale: float = 1) -> list[dict[str, Any]]:
    return [{name: word, "start": a * scale, "end": b * scale} for word, a, b, _ in _timed(lines)]


def whisper(lines: Lines) -> Any:
    """The JSON of openai-whisper: words in their segments."""
    segments = _segments(lines)
    for segment, line in zip(segments, lines, strict=True):
        segment["words"] = [{"word": f" {word}", "start": segment["start"], "end": segment["start"]} for word in line]
    return {"text": "", "segments": segments, "language": "en"}


def faster_whisper(lines: Lines) -> Any:
    """A dump of what faster-whisper returns."""
    return [whisper(lines)["segments"], {"language": "en"}]


def openai_words_beside(lines: Lines) -> Any:
    """OpenAI's verbose_json with both granularities."""
    return {"task": "transcribe", "text": "", "segments": _segments(lines), "words": _words(lines)}


def openai_words_only(lines: Lines) -> Any:
    """OpenAI's verbose_json with words only, beside the text with its punctuation."""
    return {"task": "transcribe", "text": " ".join(word for line in lines for word in line), "words": _words(lines)}


def words_without_text(lines: Lines) -> Any:
    """Words and nothing else."""
    return {"words": _words(lines)}


def whisper_cpp(lines: Lines) -> Any:
    """whisper.cpp's JSON with a token a character."""
    segments = []
    for index, line in enumerate(lines):
        start, end = (1000 * each for each in _span(index))
        offsets = {"from": start, "to": end}
        tokens = [
            {"text": f" {character}" if first == 0 else character, "offsets": offsets, "p": 0.5}
            for word in line
            for first, character in enumerate(word)
        ]
        mark = {"text": "[_BEG_]", "offsets": offsets, "p": 0.5}
        segments.append({"offsets": offsets, "text": " " + " ".join(line), "tokens": [mark, *tokens]})
    return {"result": {"language": "en"}, "transcription": segments}


def transformers(lines: Lines) -> Any:
    """Transformers' chunks, a sentence each."""
    chunks: list[dict[str, Any]] = [
        {"timestamp": [each["start"], each["end"]], "text": each["text"]} for each in _segments(lines)
    ]
    return {"text": "".join(each["text"] for each in chunks), "chunks": chunks}


def transformers_words(lines: Lines) -> Any:
    """Transformers' chunks, a word each."""
    chunks: list[dict[str, Any]] = [{"timestamp": [a, b], "text": f" {word}"} for word, a, b, _ in _timed(lines)]
    return {"text": "".join(each["text"] for each in chunks), "chunks": chunks}


def deepgram(lines: Lines) -> Any:
    """Deepgram's words in one channel."""
    words = [{**word, "punctuated_word": word["word"], "speaker": 0} for word in _words(lines)]
    text = " ".join(word for line in lines for word in line)
    return {"results": {"channels": [{"alternatives": [{"transcript": text, "words": words}]}]}}


def deepgram_utterances(lines: Lines) -> Any:
    """Deepgram's utterances."""
    utterances = [
        {"start": a, "end": b, "transcript": " ".join(line), "words": _words([line]), "channel": 0}
        for line, (a, b) in zip(lines, map(_span, range(len(lines))), strict=True)
    ]
    return {"results": {**deepgram(lines)["results"], "utterances": utterances}}


def assemblyai(lines: Lines) -> Any:
    """AssemblyAI's words, in milliseconds."""
    text = " ".join(word for line in lines for word in line)
    return {"status": "completed", "audio_url": "x", "text": text, "words": _words(lines, name="text", scale=1000)}


def assemblyai_utterances(lines: Lines) -> Any:
    """AssemblyAI's utterances."""
    utterances = [
        {
            "start": a * 1000,
            "end": b * 1000,
            "text": " ".join(line),
            "words": _words([line], name="text"),
            "speaker": "A",
        }
        for line, (a, b) in zip(lines, map(_span, range(len(lines))), strict=True)
    ]
    return {**assemblyai(lines), "utterances": utterances}


def aws(lines: Lines) -> Any:
    """Amazon Transcribe's items; the last character of each line comes as punctuation."""
    items: list[dict[str, Any]] = []
    for word, a, b, _ in _timed(lines):
        times = {"start_time": str(a), "end_time": str(b), "speaker_label": "spk_0"}
        items.append(
            {"type": "pronunciation", "alternatives": [{"content": word[:-1] or word, "confidence": "0.5"}], **times}
        )
        if word[:-1]:
            items.append({"type": "punctuation", "alternatives": [{"content": word[-1], "confidence": "0.0"}]})
    text = " ".join(word for line in lines for word in line)
    return {"results": {"transcripts": [{"transcript": text}], "items": items}}


def google_meet(lines: Lines) -> Any:
    """The entries of Google Meet's API."""
    return {
        "transcriptEntries": [
            {
                "text": " ".join(line),
                "startTime": f"2026-03-01T{_clock(a, '.')}Z",
                "endTime": f"2026-03-01T{_clock(b, '.')}Z",
            }
            for line, (a, b) in zip(lines, map(_span, range(len(lines))), strict=True)
        ]
    }


CAPTIONS: Sequence[Callable[[Lines], str]] = (vtt, vtt_with_tags, vtt_unescaped, teams_metadata, youtube, srt, sbv)
WITH_WORDS: Sequence[Callable[[Lines], Any]] = (
    whisper,
    faster_whisper,
    openai_words_beside,
    openai_words_only,
    words_without_text,
    whisper_cpp,
    deepgram,
    deepgram_utterances,
    assemblyai,
    assemblyai_utterances,
    aws,
)
WITHOUT_WORDS: Sequence[Callable[[Lines], Any]] = (transformers, transformers_words, google_meet)


def content_of(writer: Callable[[Lines], Any], lines: Lines) -> bytes:
    """Return the file that `writer` makes of the lines."""
    written = writer(lines)
    return (written if isinstance(written, str) else json.dumps(written)).encode()
