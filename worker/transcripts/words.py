"""Words with their times: how gaps are filled, and how words without segments become segments."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

from worker.transcripts.errors import TranscriptError, placed
from worker.transcripts.json_text import finite
from worker.transcripts.model import TranscriptSegment, TranscriptWord
from worker.transcripts.progress import OnProgress, counted, unheard
from worker.transcripts.text import one_line

_PAUSE_S = 1.0
_MOST_WORDS = 100
_LOOK_AHEAD = 80
# Probabilities are 32-bit floats that were printed: one may come out a little above 1.
_ROUNDING = 1e-3
_SENTENCE_END = re.compile(r"""[.?!…]["'”’»)\]]?\s+\Z|[。！？][」』）]?\s*\Z""")


@dataclass(frozen=True, slots=True)
class HeardWord:
    """One word as a file has it: times in seconds, None where the file has none."""

    text: str
    start: float | None = None
    end: float | None = None
    probability: float | None = None
    speaker: str | None = None


def timed_words(
    words: Sequence[HeardWord], start_s: float, end_s: float, source: str, place: str
) -> tuple[TranscriptWord, ...]:
    """Return the words that have text, each with its times.

    Recognizers give no times to what they could not place ("2026", "€"). Such a word gets the gap between its
    neighbours, and no length where these overlap.
    """
    return tuple(word for word in _all_timed(words, start_s, end_s, source, place) if word.text)


def probability(value: float | None) -> float | None:
    """Return a probability without the rounding of its printing; None where it is not finite."""
    value = finite(value)
    if value is not None and -_ROUNDING <= value <= 1 + _ROUNDING:
        return min(max(value, 0.0), 1.0)
    return value


def mean_probability(words: Sequence[TranscriptWord]) -> float | None:
    """Return the mean of the words' probabilities, None unless each has one."""
    if words and all(word.probability is not None for word in words):
        return sum(cast("float", word.probability) for word in words) / len(words)
    return None


def segments_of_words(
    heard: Sequence[HeardWord],
    text: str,
    source: str,
    place: str,
    language: str | None = None,
    on_progress: OnProgress = unheard,
) -> list[TranscriptSegment]:
    """Return the segments of a text that the file has in one piece, with the words of which it consists.

    A segment ends with a sentence, at a pause, where the speaker changes, and after a hundred words. The text is
    cut between words and stays whole; where words and text differ (hyphens, numerals), it is cut less often.
    """
    starts = [start for start in (finite(word.start) for word in heard) if start is not None]
    if not starts:
        raise TranscriptError(source, "has words without times; let the recognizer write word times", place=place)
    pairs = zip(heard, _all_timed(heard, starts[0], starts[-1], source, place), strict=True)
    words, timed = zip(*(pair for pair in pairs if pair[1].text), strict=True)
    text = text if text.strip() else " ".join(word.text for word in timed)
    segments: list[TranscriptSegment] = []
    first, begin = 0, 0
    for after, end in [*_cuts(words, timed, text, on_progress), (len(words), len(text))]:
        together = timed[first:after]
        with placed(source, ".".join(part for part in (place, f"words[{first}]") if part)):
            segments.append(
                TranscriptSegment(
                    # A text may lack words that were heard.
                    text=one_line(text[begin:end]) or " ".join(word.text for word in together),
                    start_time=min(word.start_time for word in together),
                    end_time=max(word.end_time for word in together),
                    speaker=words[first].speaker,
                    words=together,
                    language=language,
                    confidence=mean_probability(together),
                )
            )
        first, begin = after, end
    return segments


def _all_timed(
    words: Sequence[HeardWord], start_s: float, end_s: float, source: str, place: str
) -> list[TranscriptWord]:
    following = _following_starts(words)
    timed: list[TranscriptWord] = []
    before_s = start_s
    for index, (word, next_s) in enumerate(zip(words, following, strict=True)):
        begin_s, finish_s = finite(word.start), finite(word.end)
        if begin_s is None:
            begin_s = before_s if finish_s is None else min(before_s, finish_s)
        if finish_s is None:
            finish_s = max(begin_s, end_s if next_s is None else next_s)
        with placed(source, place, within=f"words[{index}]."):
            timed.append(TranscriptWord(one_line(word.text), begin_s, finish_s, probability(word.probability)))
        before_s = finish_s
    return timed


def _following_starts(words: Sequence[HeardWord]) -> list[float | None]:
    """Return for each word when the next one that has a time begins."""
    starts: list[float | None] = []
    next_s: float | None = None
    for word in reversed(words):
        starts.append(next_s)
        start_s = finite(word.start)
        next_s = next_s if start_s is None else start_s
    return starts[::-1]


def _cuts(
    words: Sequence[HeardWord], timed: Sequence[TranscriptWord], text: str, on_progress: OnProgress
) -> Iterator[tuple[int, int]]:
    """Yield where a segment begins but the first: the word's index and its position in the text."""
    first, before = 0, 0
    for index, found in enumerate(counted(_positions(timed, text), len(timed), on_progress)):
        if found is None or index == 0:
            continue
        start = _with_opening(text, before, found)
        ended = _SENTENCE_END.search(text, max(before, start - _LOOK_AHEAD), start)
        paused = timed[index].start_time - timed[index - 1].end_time >= _PAUSE_S
        changed = words[index].speaker != words[first].speaker
        if ended or paused or changed or index - first >= _MOST_WORDS:
            yield index, start
            first = index
        before = found


def _with_opening(text: str, before: int, found: int) -> int:
    """Return where the quotation mark or the bracket before a word begins, otherwise the word."""
    start = found
    while start > before and not text[start - 1].isalnum() and not text[start - 1].isspace():
        start -= 1
    return start if start > before and text[start - 1].isspace() else found


def _positions(timed: Sequence[TranscriptWord], text: str) -> Iterator[int | None]:
    """Yield where each word begins in the text, None where it is not near the place at which it is expected.

    Each look is limited, so the time is linear in the text.
    """
    at = 0
    for word in timed:
        found = _position(word.text, text, at)
        yield found
        if found is not None:
            at = found + len(word.text)


def _position(word: str, text: str, at: int) -> int | None:
    start = at
    while start < min(len(text), at + _LOOK_AHEAD) and not text.startswith(word, start):
        if text[start].isalnum():
            break
        start += 1
    if text.startswith(word, start):
        return start
    found = text.find(f" {word}", at, at + _LOOK_AHEAD + len(word))
    ends = found + 1 + len(word)
    return found + 1 if found >= 0 and not text[ends : ends + 1].isalnum() else None
