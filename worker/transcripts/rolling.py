"""Store rolling captions once.

YouTube's generated captions show two lines that roll upwards. Each cue repeats the line before it, and between two
cues stands one of 10 ms that shows the old line alone:

    00:01.000 --> 00:03.000      (blank)        we ship<00:01.500><c> on</c>
    00:03.000 --> 00:03.010      we ship on     (blank)
    00:03.010 --> 00:05.000      we ship on     Friday<00:04.000><c> then</c>

A line is taken for a repetition only on this evidence. People repeat themselves too, and that stays.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from worker.transcripts.layout import Cue
from worker.transcripts.markup import has_timestamp
from worker.transcripts.text import one_line

_FLASH_S = 0.0105


def without_repetitions(cues: Iterable[Cue], plain: Callable[[str], str]) -> Iterator[Cue]:
    """Yield the cues without the lines that were carried over from the cue before; `plain` removes the markup."""
    before: Cue | None = None
    shown: Sequence[str] = ()
    flashed = False
    for cue in cues:
        lines = [one_line(plain(line)) for line in cue.lines]
        visible = [line for line in lines if line]
        follows = before is not None and cue.start == before.end
        is_flash = follows and cue.end - cue.start <= _FLASH_S and _ends_with(shown, visible)
        if is_flash:
            yield replace(cue, lines=())
        elif follows and (carried := _carried(shown, lines, cue, flashed)):
            yield replace(cue, lines=cue.lines[carried:])
        else:
            yield cue
        before, shown, flashed = cue, visible, is_flash


def _carried(shown: Sequence[str], lines: Sequence[str], cue: Cue, flashed: bool) -> int:
    """Return how many of the cue's first lines are the last lines of the cue before."""
    if flashed:
        return len(shown) if list(lines[: len(shown)]) == list(shown) else 0
    # Without a cue of 10 ms between them: the new line has times within, the carried line has none.
    if len(lines) < 2 or not lines[0] or not shown or lines[0] != shown[-1] or has_timestamp(cue.lines[0]):
        return 0
    return 1 if has_timestamp(cue.lines[1]) else 0


def _ends_with(shown: Sequence[str], visible: Sequence[str]) -> bool:
    return bool(visible) and list(shown[-len(visible) :]) == list(visible)
