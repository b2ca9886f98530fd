"""Write to standard error from a signal handler, which may neither raise nor wait."""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress


def notify(text: str) -> None:
    """Write one short line, unless that would block or fail: nothing may read there, or the reader may be gone."""
    with suppress(OSError, ValueError):
        # Where it was closed at the start, 2 may be any connection by now.
        if sys.stderr is not None and select.select([], [2], [], 0)[1]:
            os.write(2, f"{text}\n".encode())
