"""The standard streams of a command: no traceback and no other effect, wherever its output goes.

A terminal of another encoding gets replacement characters. A reader that closes the pipe early (`| head -1`) ends
nothing: what is left is not written, and the command ends with its own code. A full disk loses the answer, which the
exit code tells. Standard library only, for the worker's process opens what is closed before all else.
"""

from __future__ import annotations

import errno
import io
import os
import select
import sys
from typing import Any, Final, TextIO

EXIT_UNWRITTEN: Final = 74
"""The answer could not be written, as to a full disk; EX_IOERR of sysexits.h."""

_READER_GONE: Final = frozenset({errno.EPIPE, errno.ECONNRESET, errno.EIO, errno.EBADF})
"""As of a pipe, a socket, a terminal, a descriptor that is closed: nothing is lost that is still wanted."""


class Streams:
    """The standard streams of a process, made safe to write to for the rest of its life."""

    def __init__(self) -> None:
        fill_closed_streams()
        self._out, self._err = _Guarded(1), _Guarded(2)
        sys.stdout = _text_over(self._out, sys.stdout)
        sys.stderr = _text_over(self._err, sys.stderr)

    def exit_code(self, code: int) -> int:
        """The code to end with: the command's own, unless its answer could not be written."""
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        if self._out.failure is None or self._out.failure.errno in _READER_GONE:
            return code
        sys.stderr.write(f"the output could not be written: {os.strerror(self._out.failure.errno or 0)}\n")
        sys.stderr.flush()
        return EXIT_UNWRITTEN


def reader_is_gone() -> bool:
    """Whether what is written to the standard output goes nowhere any more: the end of a command that has none."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Guarded) and raw.failure is not None


def fill_closed_streams() -> None:
    """Open /dev/null in the place of a standard stream that is closed, before a connection takes its number."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
        if getattr(sys, name) is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115  # for good


class _Guarded(io.RawIOBase):
    """A descriptor that is written to until that fails; then nothing is written, and `failure` says why."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._number = number
        self.failure: OSError | None = None

    def write(self, data: Any) -> int:
        while self.failure is None:
            try:
                return os.write(self._number, data)
            except BlockingIOError:  # the terminal's other user has made it so
                select.select([], [self._number], [])
            except OSError as error:
                self.failure = error
        return len(data)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._number

    def isatty(self) -> bool:
        return os.isatty(self._number)


def _text_over(raw: _Guarded, before: TextIO) -> TextIO:
    before.flush()
    by_line = raw.isatty() or raw.fileno() == 2
    return io.TextIOWrapper(io.BufferedWriter(raw), before.encoding, "replace", line_buffering=by_line)
