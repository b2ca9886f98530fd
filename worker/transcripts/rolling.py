"""Store rolling captions once.

YouTube's generated captions show two lines that roll upwards. Each cue repeats the line before it, and between two
cues stands one of 10 ms that shows the old line alone:

    00:01.000 --> 00:03.000      (blank)        we ship<00:01.500><c> on</c>
    00:03.000 --> 00:03.010      we ship on     (blank)
    00:03.010 --> 00:05.000      we ship on     Friday<00:04.000><c> then</c>

Some programs that cut these files leave a gap after the short cue, or begin the next cue with it. A line is taken for
a repetition only on this evidence. People repeat themselves too, and that stays.
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
        is_short = 0 <= cue.end - cue.start <= _FLASH_S
        is_flash = before is not None and cue.start == before.end and is_short and _ends_with(shown, visible)
        if is_flash:
            yield replace(cue, lines=())
        elif before is not None:
            carried = _after_flash(shown, lines, cue, before) if flashed else _after_cue(shown, lines, cue, before)
            yield replace(cue, lines=cue.lines[carried:])
        else:
            yield cue
        before, shown, flashed = cue, visible, is_flash


def _after_flash(shown: Sequence[str], lines: Sequence[str], cue: Cue, flash: Cue) -> int:
    """Return how many of the cue's first lines are those of the short cue before it."""
    joins = flash.start <= cue.start <= flash.end or any(has_timestamp(line) for line in cue.lines[len(shown) :])
    return len(shown) if joins and list(lines[: len(shown)]) == list(shown) else 0


def _after_cue(shown: Sequence[str], lines: Sequence[str], cue: Cue, before: Cue) -> int:
    """Return 1 if the first line is the last one of the cue before: it has no times within, the new line has."""
    if cue.start != before.end or len(lines) < 2 or not shown or lines[0] != shown[-1]:
        return 0
    return 1 if has_timestamp(cue.lines[1]) and not has_timestamp(cue.lines[0]) else 0


def _ends_with(shown: Sequence[str], visible: Sequence[str]) -> bool:
    return bool(visible) and list(shown[-len(visible) :]) == list(visible)
