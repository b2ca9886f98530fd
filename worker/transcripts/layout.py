"""The cues of WebVTT, SRT and SBV files, each with the line in which it begins.

Players skip what they do not understand. A transcript must not lose a sentence that way: what a player would skip is
refused, with its line. Every line is looked at a fixed number of times, so the time is linear.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice

from worker.transcripts.errors import TranscriptError

_ARROW = "-->"
_VTT_TIME = r"(?:([0-9]{1,10}):)?([0-5]?[0-9]):([0-5]?[0-9])\.([0-9]{1,3})"
# Exactly three digits: readers disagree whether ",5" is five or five hundred milliseconds.
_SRT_TIME = r"([0-9]{1,10}):([0-5]?[0-9]):([0-5]?[0-9])[,.]([0-9]{3})"
_VTT_TIMING = re.compile(rf"\s*{_VTT_TIME}\s*-->\s*{_VTT_TIME}(?!\S)")
_SRT_TIMING = re.compile(rf"\s*{_SRT_TIME}\s*-->\s*{_SRT_TIME}(?!\S)")
_SBV_TIMING = re.compile(rf"{_SRT_TIME},{_SRT_TIME}\s*$")
# What stands for times in SBV, also where they cannot be read.
_SBV_TIMES = re.compile(r"[0-9]+:[0-9:.]+,[0-9]+:[0-9:.]+\s*$")
_EXAMPLES = {
    _VTT_TIMING: "00:01.000 --> 00:02.500",
    _SRT_TIMING: "00:00:01,000 --> 00:00:02,500",
    _SBV_TIMING: "0:00:01.000,0:00:02.500",
}
_LONGEST_NUMBER = 18
_LINE_END = re.compile(r"\r\n|\r|\n")
_NOTE = re.compile(r"NOTE(?:[ \t]|$)")
# Only before the first cue; later, "REGION" is a word that stands alone.
_STYLE_OR_REGION = re.compile(r"(?:STYLE|REGION)[ \t]*$")


@dataclass(frozen=True, slots=True)
class Cue:
    """The lines between two times, in seconds; `line` is the number of the line with the times, from 1."""

    line: int
    start: float
    end: float
    lines: tuple[str, ...]


def lines_of(text: str) -> list[str]:
    """Return the lines of a text, whatever its line ends. Other separators belong to what was said."""
    return _LINE_END.split(text)


def starts_like_srt(text: str) -> bool:
    """Whether the first lines that are not blank are a number and times."""
    first = _first_lines(text, 2)
    return len(first) == 2 and first[0].strip().isdecimal() and _ARROW in first[1]


def starts_like_sbv(text: str) -> bool:
    """Whether the first line that is not blank holds times as SBV writes them."""
    return any(_SBV_TIMES.match(line) for line in _first_lines(text, 1))


def vtt_header(lines: Sequence[str]) -> Sequence[str]:
    """Return the header's lines: the first, and those up to a blank line or to times."""
    return lines[: _end_of_block(lines, 2) - 1]


def vtt_cues(lines: Sequence[str], source: str) -> list[Cue]:
    """Return the cues in the order of the file.

    TranscriptError at times that cannot be read and at text that is in no cue, note or style.
    """
    cues: list[Cue] = []
    number = len(vtt_header(lines)) + 1
    while number <= len(lines):
        line = lines[number - 1]
        if _is_no_cue(line, cues) and not _has_arrow(lines, number + 1):
            number = _end_of_block(lines, number + 1)
        elif line:
            # A line before the times is the cue's identifier.
            timing = number if _ARROW in line else number + 1
            if not _has_arrow(lines, timing):
                problem = "stands outside a cue: a blank line before it ended the cue it may belong to"
                raise TranscriptError(source, problem, place=f"line {number}", field="text")
            number = _end_of_block(lines, timing + 1)
            cues.append(_cue(lines, timing, number, _VTT_TIMING, source))
            if _has_arrow(lines, number):
                raise TranscriptError(source, "must follow a blank line", place=f"line {number}", field="timing")
        else:
            number += 1
    return cues


def srt_cues(lines: Sequence[str], source: str) -> list[Cue]:
    """Return the cues in the order of the file: a number and times begin one, an arrow within a cue is text.

    TranscriptError at a cue without a number or without times that can be read.
    """
    timings: list[int] = []
    numbers: list[int] = []
    for number, line in enumerate(lines, start=1):
        if _ARROW not in line:
            continue
        before = _last_text(lines, number - 1)
        if before and lines[before - 1].strip().isdecimal():
            _check_number(lines, before, numbers, source)
            timings.append(number)
            numbers.append(before)
        elif before != number - 1 or _SRT_TIMING.match(line):
            problem = "must stand in the line before the times"
            raise TranscriptError(source, problem, place=f"line {number}", field="number")
    ends = [*numbers[1:], len(lines) + 1]
    return [_cue(lines, timing, end, _SRT_TIMING, source) for timing, end in zip(timings, ends, strict=True)]


def _check_number(lines: Sequence[str], number: int, numbers: Sequence[int], source: str) -> None:
    """Refuse a number that may be the last line of the cue before: it follows text and is not the next number."""
    if not numbers or not lines[number - 2].strip():
        return
    last, this = (lines[each - 1].strip() for each in (numbers[-1], number))
    if len(last) > _LONGEST_NUMBER or len(this) > _LONGEST_NUMBER or int(this) != int(last) + 1:
        problem = "follows text and is not the next number; put a blank line before it, or the cue's number after it"
        raise TranscriptError(source, problem, place=f"line {number}", field="number")


def sbv_cues(lines: Sequence[str], source: str) -> list[Cue]:
    """Return the cues in the order of the file; each begins with its times, after a blank line."""
    timings = [
        number
        for number, line in enumerate(lines, start=1)
        if _SBV_TIMES.match(line) and (number == 1 or not lines[number - 2].strip())
    ]
    ends = [*timings[1:], len(lines) + 1]
    return [_cue(lines, timing, end, _SBV_TIMING, source) for timing, end in zip(timings, ends, strict=True)]


def _first_lines(text: str, most: int) -> list[str]:
    lines = (match[0] for match in re.finditer(r"[^\r\n]+", text))
    return list(islice((line for line in lines if line.strip()), most))


def _cue(lines: Sequence[str], timing: int, end: int, pattern: re.Pattern[str], source: str) -> Cue:
    """Return the cue with times in line `timing` whose text ends before line `end`."""
    found = pattern.match(lines[timing - 1])
    if found is None:
        problem = f"cannot be read as times; expected something like {_EXAMPLES[pattern]}"
        raise TranscriptError(source, problem, place=f"line {timing}", field="timing")
    return Cue(timing, _seconds(*found.groups()[:4]), _seconds(*found.groups()[4:]), tuple(lines[timing : end - 1]))


def _seconds(hours: str | None, minutes: str, seconds: str, fraction: str) -> float:
    whole = int(hours or 0) * 3600 + int(minutes) * 60 + int(seconds)
    return (whole * 1000 + int(fraction.ljust(3, "0"))) / 1000


def _is_no_cue(line: str, cues: Sequence[Cue]) -> bool:
    return _NOTE.match(line) is not None or (not cues and _STYLE_OR_REGION.match(line) is not None)


def _has_arrow(lines: Sequence[str], number: int) -> bool:
    return number <= len(lines) and _ARROW in lines[number - 1]


def _end_of_block(lines: Sequence[str], number: int) -> int:
    """Return the first line from `number` on that is blank or has an arrow, where a player ends a block too."""
    while number <= len(lines) and lines[number - 1] and _ARROW not in lines[number - 1]:
        number += 1
    return number


def _last_text(lines: Sequence[str], number: int) -> int:
    """Return the last line up to `number` that is not blank; 0 if there is none."""
    while number > 0 and not lines[number - 1].strip():
        number -= 1
    return number
