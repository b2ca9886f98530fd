"""Where each cue of a WebVTT or SRT file stands.

The library that reads the cues skips what it does not understand, as players must. A transcript must not
lose a sentence that way, so this walks the file first: what would be skipped is refused, with its line.
"""

import re
from collections.abc import Iterator, Sequence

from worker.transcripts.errors import TranscriptError

_ARROW = "-->"
_VTT_TIME = r"(?:\d{1,10}:)?[0-5]?\d:[0-5]?\d\.\d{1,3}"
# Exactly three digits: readers disagree whether ",5" is five or five hundred milliseconds.
_SRT_TIME = r"\d{1,10}:[0-5]?\d:[0-5]?\d[,.]\d{3}"
_VTT_TIMING = re.compile(rf"\s*{_VTT_TIME}\s*-->\s*{_VTT_TIME}(?!\S)")
_SRT_TIMING = re.compile(rf"\s*{_SRT_TIME}\s*-->\s*{_SRT_TIME}(?!\S)")
_NOT_A_CUE = re.compile(r"(?:NOTE|STYLE|REGION)(?:[ \t]|$)")


def vtt_cue_lines(lines: Sequence[str], source: str) -> list[int]:
    """The line number (from 1) of every cue's timing, in order.

    TranscriptError at times that cannot be read and at text that is in no cue, note or style.
    """
    found: list[int] = []
    number = _end_of_block(lines, 1)
    while number <= len(lines):
        line = lines[number - 1]
        if _NOT_A_CUE.match(line) and not _has_arrow(lines, number + 1):
            number = _end_of_block(lines, number + 1)
        elif line:
            # A line before the timing is the cue's identifier.
            timing = number if _ARROW in line else number + 1
            if not _has_arrow(lines, timing):
                problem = "stands outside a cue: a blank line before it ended the cue it may belong to"
                raise TranscriptError(source, problem, place=f"line {number}", field="text")
            found.append(_checked(lines, timing, _VTT_TIMING, source))
            number = _end_of_block(lines, timing + 1)
            if _has_arrow(lines, number):
                problem = "must follow a blank line"
                raise TranscriptError(source, problem, place=f"line {number}", field="timing")
        else:
            number += 1
    return found


def vtt_pieces(
    lines: Sequence[str], timings: Sequence[int], most: int
) -> Iterator[tuple[Sequence[str], Sequence[int]]]:
    """The lines in pieces with about `most` cues, and the timings in each; every piece but the first begins with a cue.

    A piece ends only before a cue that follows a blank line, so no block is ever cut.
    """
    begin, first = 0, 0
    for index, timing in enumerate(timings):
        if index - first < most:
            continue
        start = timing - 1 if not lines[timing - 2] else timing - 2  # an identifier belongs to its cue
        if not lines[start - 1]:
            yield lines[begin:start], timings[first:index]
            begin, first = start, index
    yield lines[begin:], timings[first:]


def srt_cue_lines(lines: Sequence[str], source: str) -> list[int]:
    """The line number (from 1) of the timing of every cue that has text, in order.

    TranscriptError at a cue without a number or without times that can be read.
    """
    timings: list[int] = []
    numbers: list[int] = []
    for number, line in enumerate(lines, start=1):
        if _ARROW not in line:
            continue
        before = _last_text(lines, number - 1)
        if before and lines[before - 1].strip().isdecimal():
            timings.append(_checked(lines, number, _SRT_TIMING, source))
            numbers.append(before)
        elif before != number - 1 or _SRT_TIMING.match(line):
            problem = "must stand in the line before the times"
            raise TranscriptError(source, problem, place=f"line {number}", field="number")
    ends = [*numbers[1:], len(lines) + 1]
    return [
        timing
        for timing, end in zip(timings, ends, strict=True)
        if any(line.strip() for line in lines[timing : end - 1])
    ]


def _checked(lines: Sequence[str], number: int, pattern: re.Pattern[str], source: str) -> int:
    if not pattern.match(lines[number - 1]):
        example = "00:00:01,000 --> 00:00:02,500" if pattern is _SRT_TIMING else "00:01.000 --> 00:02.500"
        problem = f"cannot be read as times; expected something like {example}"
        raise TranscriptError(source, problem, place=f"line {number}", field="timing")
    return number


def _has_arrow(lines: Sequence[str], number: int) -> bool:
    return number <= len(lines) and _ARROW in lines[number - 1]


def _end_of_block(lines: Sequence[str], number: int) -> int:
    """The first line from `number` on that is blank or has an arrow, where the library ends a block too."""
    while number <= len(lines) and lines[number - 1] and _ARROW not in lines[number - 1]:
        number += 1
    return number


def _last_text(lines: Sequence[str], number: int) -> int:
    """The last line up to `number` that is not blank; 0 if there is none."""
    while number > 0 and not lines[number - 1].strip():
        number -= 1
    return number
