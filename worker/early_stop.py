"""A worker that is told to stop while it still starts has nothing to finish, and ends as well as any other.

Starting takes a second, and for most of it Python's own answer to SIGTERM stands: death by signal, which a supervisor
takes for a failure. Standard library only, for the sooner this is called, the shorter that time. The engine puts its
own handlers in place when it can drain.
"""

from __future__ import annotations

import os
import signal
from types import FrameType


def end_when_told() -> None:
    """From here on SIGTERM and SIGINT end the process with 0."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    # Not SystemExit: raised in the middle of an import or of a callback, it need not come through.
    os.write(2, f"told to stop by {signal.Signals(number).name}, and nothing is in hand: ending\n".encode())
    os._exit(0)
