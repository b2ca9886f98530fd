"""How the text of a transcript is laid out."""

import re

# Not str.split(): a no-break or an ideographic space is part of what was written.
_BREAKS = re.compile(r"[ \t\r\n\f\v]+")


def one_line(text: str) -> str:
    """Return `text` with line breaks and runs of blanks made one blank, and none at its ends."""
    return _BREAKS.sub(" ", text).strip(" ")


def speaker_name(label: str | int | None) -> str | None:
    """Return a recognizer's label as a name: "Speaker 1" for a number, None for no label."""
    return f"Speaker {label}" if isinstance(label, int) else one_line(label or "") or None
