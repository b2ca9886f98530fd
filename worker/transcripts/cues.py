"""Reads WebVTT and SRT: cue by cue through webvtt-py, each with the line it stands in."""

import html
import re
from collections.abc import Iterator, Sequence
from itertools import islice, takewhile

import webvtt
from webvtt.errors import MalformedFileError

from worker.transcripts.errors import TranscriptError, placed
from worker.transcripts.layout import srt_cue_lines, vtt_cue_lines, vtt_pieces
from worker.transcripts.model import TranscriptSegment
from worker.transcripts.progress import OnProgress, counted, unheard
from worker.transcripts.speakers import with_speakers
from worker.transcripts.text import one_line

# A tag ends before the next one begins: so a file of tags that are never closed takes no longer than any other.
_VOICE = re.compile(r"<v(?:\.[^\s<>]*)?(?:[ \t\n]([^<>]*))?>|</v>")
_CUES_AT_A_TIME = 5_000
_LINE_END = re.compile(r"\r\n|\r|\n")
# SRT has no grammar; these are what its players understand. Anything else in angle brackets was meant.
_SRT_MARKUP = re.compile(r"</?(?:b|i|u|s|font)(?: [^<>]*)?>|\{\\[^{}]*\}", re.IGNORECASE)


def read_vtt(text: str, source: str, on_progress: OnProgress = unheard) -> tuple[str, list[TranscriptSegment]]:
    """The header's title ("" without one) and the segments of a WebVTT text, one for each voice of a cue."""
    lines = _LINE_END.split(text)
    places = vtt_cue_lines(lines, source)
    header = webvtt.WebVTT.from_string("\n".join([lines[0], *takewhile(_is_of_header, lines[1:])]))
    language = _language(header.metadata)
    segments: list[TranscriptSegment] = []
    for caption, place in counted(_vtt_captions(lines, places, source), len(places), on_progress):
        for speaker, said in _voices(caption.raw_text):
            # The library takes the remaining tags away; what it leaves may still hold &amp;.
            plain = html.unescape(webvtt.Caption(text=said).text if "<" in said else said)
            segments.extend(_segment(caption, plain, speaker, language, source, place))
    return one_line(header.header_text.lstrip("-– \t")), with_speakers(segments)


def read_srt(text: str, source: str, on_progress: OnProgress = unheard) -> list[TranscriptSegment]:
    """The segments of an SRT text. SRT escapes nothing, so "&amp;" is what was written."""
    lines = _LINE_END.split(text)
    places = srt_cue_lines(lines, source)
    # Of the first cue the library wants number and times in the first two lines; later ones may be set apart.
    first, timing = islice((number for number, line in enumerate(lines) if line.strip()), 2)
    tidy = [lines[first].strip(), *lines[timing:]]
    try:
        captions = webvtt.WebVTT.from_buffer(tidy, format="srt").captions
    except MalformedFileError:
        raise TranscriptError(source, "cannot be read as SRT", place=f"line {first + 1}", field="number") from None
    segments: list[TranscriptSegment] = []
    for caption, place in counted(_placed(captions, places, source), len(places), on_progress):
        plain = _SRT_MARKUP.sub("", caption.raw_text)
        segments.extend(_segment(caption, plain, None, None, source, place))
    return with_speakers(segments)


def _is_of_header(line: str) -> bool:
    return bool(line) and "-->" not in line


def _vtt_captions(lines: Sequence[str], places: Sequence[int], source: str) -> Iterator[tuple[webvtt.Caption, str]]:
    """Every cue with its place. Some thousands are read at a time: the library needs ten times their room."""
    opening: Sequence[str] = ()
    for piece, within in vtt_pieces(lines, places, _CUES_AT_A_TIME):
        document = webvtt.WebVTT.from_string("\n".join([*opening, *piece]))
        yield from _placed(document.captions, within, source)
        opening = ("WEBVTT", "")


def _placed(
    captions: Sequence[webvtt.Caption], places: Sequence[int], source: str
) -> Iterator[tuple[webvtt.Caption, str]]:
    if len(captions) != len(places):
        problem = f"{len(places)} cues stand in this part of the file, {len(captions)} can be read"
        raise TranscriptError(source, problem)
    for caption, number in zip(captions, places, strict=True):
        yield caption, f"line {number}"


def _segment(
    caption: webvtt.Caption, plain: str, speaker: str | None, language: str | None, source: str, place: str
) -> Iterator[TranscriptSegment]:
    """One segment, or none where nobody says anything."""
    with placed(source, place):
        segment = TranscriptSegment(
            text=one_line(plain),
            start_time=caption.start_time.in_milliseconds() / 1000,
            end_time=caption.end_time.in_milliseconds() / 1000,
            speaker=one_line(speaker or "") or None,
            language=language,
        )
    if segment.text:
        yield segment


def _voices(raw_text: str) -> Iterator[tuple[str | None, str]]:
    """Each speaker of a cue with what they say; None before the first voice tag and after a closing one."""
    parts: Sequence[str | None] = _VOICE.split(raw_text)
    said: list[tuple[str | None, str]] = [(None, parts[0] or "")]
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        speaker = html.unescape(name) if name else None
        if text and text.strip() and said[-1][0] == speaker:
            said[-1] = (speaker, said[-1][1] + text)
        elif text and text.strip():
            said.append((speaker, text))
    yield from said


def _language(metadata: Sequence[str]) -> str | None:
    for line in metadata:
        key, _, value = line.partition(":")
        if key.strip().lower() == "language" and value.strip():
            return value.strip()
    return None
