"""Write log lines from a thread: no line can raise into the work, and none can block it.

A reader that is gone, or a full disk, makes a write fail; a reader that does not read makes it block. Either happens to
the thread only. Meanwhile lines wait in a bounded queue. What finds no place there is dropped and counted.
"""

from __future__ import annotations

import atexit
import errno
import logging
import os
import sys
import threading
import time
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, TextIO, cast

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_LINES: Final = 10_000
MOST_BYTES: Final = 8 * 1024 * 1024

CLOSE_S: Final = 2.0
"""How long an ending process waits for its last lines to be written."""

_BATCH_BYTES: Final = 4096
"""What a pipe takes as a whole (POSIX's PIPE_BUF on Linux): several processes may share it."""

_FIRST_PAUSE_S: Final = 0.05
_LONGEST_PAUSE_S: Final = 1.0

# The descriptor will never take these lines. After any other error the same write may succeed later.
_FOR_GOOD: Final = frozenset({errno.EPIPE, errno.EBADF, errno.ECONNRESET, errno.ENOTCONN})


class QueuedStream:
    """A text stream in front of `target`, for handlers of log lines: `write` and `flush` return at once.

    `dropped` counts the lines that were given up. `on_resumed` is called, in the writer thread, when lines can be
    written again: with the number dropped since it was last called, and the reason. A target without a descriptor is
    memory, and is written to at once. Without a target (standard output was closed at the start) every line is dropped.
    """

    def __init__(
        self,
        target: TextIO | None,
        on_resumed: Callable[[int, str], None] = lambda _dropped, _reason: None,
        *,
        most_lines: int = MOST_LINES,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        self.target = target
        self.dropped = 0
        self._on_resumed = on_resumed
        self._most_lines = most_lines
        self._most_bytes = most_bytes
        self._descriptor = _descriptor_of(target)
        self._encoding = getattr(target, "encoding", None) or "utf-8"
        # Reentrant, because a signal handler may log while this thread holds it.
        self._lock = threading.RLock()
        self._lines: deque[bytes] = deque()
        self._bytes = 0
        self._in_hand: deque[bytes] = deque()
        self._filled = threading.Event()
        self._written = threading.Event()
        self._written.set()
        self._reported = 0
        self._reason = ""
        self._thread: threading.Thread | None = None
        self._closed = False

    def write(self, text: str) -> int:
        """Queue one line, its newline included."""
        try:
            if self.target is None:
                self.drop()
            elif self._descriptor is None:
                self.target.write(text)
            else:
                self._queue(text.encode(self._encoding, "backslashreplace"))
        except Exception:
            self.drop()
        return len(text)

    def flush(self) -> None:
        """Return at once: the thread writes as soon as it can."""

    def drop(self, lines: int = 1) -> None:
        """Count lines that could not be written."""
        with self._lock:
            self.dropped += lines

    def drain(self, within_s: float) -> bool:
        """Wait until every queued line is written, at most `within_s`; return whether all are."""
        return self._written.wait(within_s)

    def close(self, within_s: float = CLOSE_S) -> None:
        """Write what is queued, within a bounded time, and take no more lines."""
        self.drain(within_s)
        self._closed = True

    def _queue(self, line: bytes) -> None:
        with self._lock:
            is_full = len(self._lines) >= self._most_lines or self._bytes + len(line) > self._most_bytes
            if is_full or self._closed:
                self.drop()
                self._reason = self._reason or "lines came faster than they could be written"
                return
            self._lines.append(line)
            self._bytes += len(line)
            self._written.clear()
            if self._thread is None:
                self._start()
        self._filled.set()

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="log writer", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads at the moment: the next line tries again
            return
        self._thread = thread
        atexit.register(self.close)

    def _run(self) -> None:
        while True:
            self._filled.wait()
            self._filled.clear()
            while self._take():
                try:
                    if self._write_in_hand():
                        self._report()
                except Exception:  # no memory, for example: these lines are lost, the thread is not
                    self._give_up_in_hand()

    def _take(self) -> bool:
        """Take a batch of lines in hand; if none is left, wake those who wait for that."""
        with self._lock:
            size = 0
            while self._lines and (not size or size + len(self._lines[0]) <= _BATCH_BYTES):
                line = self._lines.popleft()
                size += len(line)
                self._in_hand.append(line)
            self._bytes -= size
            if not self._in_hand:
                self._written.set()
            return bool(self._in_hand)

    def _write_in_hand(self) -> bool:
        """Write the batch; return False if it was given up."""
        descriptor, pause_s = cast("int", self._descriptor), _FIRST_PAUSE_S
        while self._in_hand:
            try:
                self._forget(os.write(descriptor, b"".join(self._in_hand)))
                pause_s = _FIRST_PAUSE_S
            except BlockingIOError:  # a process that shares the descriptor has made it non-blocking
                time.sleep(_FIRST_PAUSE_S)
            except OSError as error:
                self._reason = f"{errno.errorcode.get(error.errno or 0, 'OSError')}: {error.strerror}"
                if error.errno in _FOR_GOOD:
                    self._give_up_in_hand()
                    return False
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)
        return True

    def _give_up_in_hand(self) -> None:
        self.drop(len(self._in_hand))
        self._in_hand.clear()

    def _forget(self, written: int) -> None:
        """Take the first `written` bytes off what is in hand: a disk that becomes full takes half a line."""
        while written > 0:
            line = self._in_hand.popleft()
            if written < len(line):
                self._in_hand.appendleft(line[written:])
            written -= len(line)

    def _report(self) -> None:
        """Call `on_resumed` once the queue is empty after an error or a drop."""
        with self._lock:
            if self._lines or not self._reason:
                return
            dropped, self._reported = self.dropped - self._reported, self.dropped
            reason, self._reason = self._reason, ""
        with suppress(Exception):
            self._on_resumed(dropped, reason)


def _descriptor_of(target: TextIO | None) -> int | None:
    try:
        return None if target is None else target.fileno()
    except (OSError, ValueError, AttributeError):
        return None


def queue_handlers() -> None:
    """Put a queue before standard output and standard error in every handler that logging has.

    For a program that configures its handlers from a dictionary.
    """
    loggers = [logging.getLogger(), *logging.Logger.manager.loggerDict.values()]
    queues = {stream: QueuedStream(stream, _tell_resumed) for stream in (sys.stdout, sys.stderr) if stream is not None}
    for logger in loggers:
        for handler in getattr(logger, "handlers", ()):
            if isinstance(handler, logging.StreamHandler) and handler.stream in queues:
                handler.setStream(queues[handler.stream])


def _tell_resumed(dropped: int, reason: str) -> None:
    logging.getLogger("worker.engine").warning("log lines are written again, %d were dropped: %s", dropped, reason)
