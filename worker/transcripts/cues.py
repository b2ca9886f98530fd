"""Read the caption files: WebVTT, SRT and SBV, cue by cue."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from worker.transcripts.errors import placed
from worker.transcripts.layout import Cue, lines_of, sbv_cues, srt_cues, vtt_cues, vtt_header
from worker.transcripts.markup import srt_plain, voices, vtt_plain
from worker.transcripts.model import TranscriptSegment
from worker.transcripts.progress import OnProgress, counted, unheard
from worker.transcripts.rolling import without_repetitions
from worker.transcripts.speakers import with_speakers
from worker.transcripts.teams import teams_entry
from worker.transcripts.text import one_line


def read_vtt(text: str, source: str, on_progress: OnProgress = unheard) -> tuple[str, list[TranscriptSegment]]:
    """Return the header's title ("" without one) and the segments of a WebVTT text, one for each voice of a cue."""
    lines = lines_of(text)
    header = vtt_header(lines)
    language = _language(header[1:])

    def said(raw: str) -> Iterable[tuple[str | None, str, str | None]]:
        if entry := teams_entry(raw):
            return [entry]
        return [(speaker, plain, language) for speaker, plain in voices(raw)]

    segments = _segments(vtt_cues(lines, source), vtt_plain, said, source, on_progress)
    return one_line(header[0].removeprefix("WEBVTT").lstrip("-– \t")), segments


def read_srt(text: str, source: str, on_progress: OnProgress = unheard) -> tuple[str, list[TranscriptSegment]]:
    """Return no title and the segments of an SRT text."""
    cues = srt_cues(lines_of(text), source)
    return "", _segments(cues, srt_plain, lambda raw: [(None, srt_plain(raw), None)], source, on_progress)


def read_sbv(text: str, source: str, on_progress: OnProgress = unheard) -> tuple[str, list[TranscriptSegment]]:
    """Return no title and the segments of an SBV text, which has no markup."""
    cues = sbv_cues(lines_of(text), source)
    return "", _segments(cues, str, lambda raw: [(None, raw, None)], source, on_progress)


def _segments(
    cues: Sequence[Cue],
    plain: Callable[[str], str],
    said: Callable[[str], Iterable[tuple[str | None, str, str | None]]],
    source: str,
    on_progress: OnProgress,
) -> list[TranscriptSegment]:
    """Return a segment for each speaker, text and language that `said` finds in the lines of a cue."""
    segments: list[TranscriptSegment] = []
    for cue in counted(without_repetitions(cues, plain), len(cues), on_progress):
        for speaker, text, language in said("\n".join(cue.lines)):
            segments.extend(_segment(cue, text, speaker, language, source))
    return with_speakers(segments)


def _segment(
    cue: Cue, text: str, speaker: str | None, language: str | None, source: str
) -> Iterator[TranscriptSegment]:
    """Yield one segment, or none where the cue has no text."""
    if not (text := one_line(text)):
        return
    with placed(source, f"line {cue.line}"):
        yield TranscriptSegment(text, cue.start, cue.end, one_line(speaker or "") or None, language=language)


def _language(metadata: Sequence[str]) -> str | None:
    for line in metadata:
        key, _, value = line.partition(":")
        if key.strip().lower() == "language" and value.strip():
            return value.strip()
    return None
