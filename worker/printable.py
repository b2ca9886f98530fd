"""Make text safe to print: what a terminal would obey, or would not show, becomes an escape that can be read.

Ids, reasons, names and payloads are written by others. Raw control characters in them recolour or overwrite the screen
(ESC, OSC, C1), bidi controls reorder what is read, and invisible characters make two ids look alike. Python's escapes
are used (``\\n``, ``\\x1b``, ``\\u202e``, ``\\udcff`` for a byte that is not UTF-8), so an id can be pasted back as it
is shown: see `worker.inspection.ids.unescaped`.
"""

from __future__ import annotations

import re
from typing import Final

_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0e\uffa0\U000e0100-\U000e01ef]"
)
"""Fillers and selectors that Unicode counts as printable, and that no terminal shows."""


def printable(text: str, most: int | None = None) -> str:
    """The text on one line, every character of it visible; of a text longer than `most` the beginning."""
    cut = f"… ({len(text):,} characters)" if most is not None and len(text) > most else ""
    sound = text[:most].encode("utf-8", "backslashreplace").decode()
    if not sound.isprintable():
        sound = "".join(char if char.isprintable() else _escaped(char) for char in sound)
    return (sound if sound.isascii() else _INVISIBLE.sub(lambda found: _escaped(found[0]), sound)) + cut


def printable_lines(text: str) -> str:
    """The same of a text whose line breaks are meant."""
    return "\n".join(printable(line) for line in text.split("\n"))


def _escaped(char: str) -> str:
    return char.encode("unicode_escape").decode()
