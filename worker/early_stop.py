"""A worker that is told to stop while it still starts has nothing to finish, and ends as well as any other.

Starting takes a second, and for most of it Python's own answer to SIGTERM stands: death by signal, which a supervisor
takes for a failure. Standard library only, for the sooner this is called, the shorter that time. The engine puts its
own handlers in place when it can drain.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from contextlib import suppress
from types import FrameType


def end_when_told() -> None:
    """From here on SIGTERM, SIGINT and SIGHUP end the process with 0, and SIGUSR1 and SIGUSR2 do nothing."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, _end)
    for name, handler in (("SIGHUP", _end), ("SIGUSR1", _ignore), ("SIGUSR2", _ignore)):
        if hasattr(signal, name) and signal.getsignal(getattr(signal, name)) is signal.SIG_DFL:
            signal.signal(getattr(signal, name), handler)


def _end(number: int, _frame: FrameType | None) -> None:
    # Not SystemExit: raised in the middle of an import or of a callback, it need not come through.
    with suppress(OSError, ValueError):  # the reader may be gone, or not read: then without a word
        if sys.stderr is not None and select.select([], [2], [], 0)[1]:
            os.write(2, f"told to stop by {signal.Signals(number).name}, and nothing is in hand: ending\n".encode())
    os._exit(0)


def _ignore(_number: int, _frame: FrameType | None) -> None:
    """Do nothing, where the default is death."""
