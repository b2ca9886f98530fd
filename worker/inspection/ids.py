"""Job ids as they are shown, and back: what no terminal should be sent is escaped, and may be pasted in again."""

from __future__ import annotations

import re

_ESCAPED = re.compile(r"\\(?:x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8}|[nrt])")


def unescaped(job_id: str) -> str:
    """The id whose printable form this is; an id without escapes as it is."""
    return _ESCAPED.sub(lambda found: found[0].encode().decode("unicode_escape"), job_id)
