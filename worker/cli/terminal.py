"""Everything that a command prints and asks, made printable whatever it holds.

No other module of the command line writes to a stream, or makes a console of its own.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO

import typer
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

from worker.printable import printable_lines

WIDTH_OF_A_PIPE: Final = 300


def echo(text: object = "", *, err: bool = False) -> None:
    """Write a line."""
    typer.echo(printable_lines(str(text)), err=err)


def confirm(question: str, *, default: bool = False) -> bool:
    """Ask yes or no. Raises typer.Abort at the end of the input."""
    return typer.confirm(printable_lines(question), default=default)


def console(width_of_a_pipe: int = WIDTH_OF_A_PIPE, *, err: bool = False, markup: bool = False) -> Console:
    """Where tables go. A pipe has no width to ask for, and gets no colours."""
    options: dict[str, Any] = {"highlight": False, "emoji": False, "markup": markup, "stderr": err}
    made = _Console(**options)
    if made.is_terminal:
        return made
    return _Console(**options, width=width_of_a_pipe, file=_Trimmed(err=err))


class _Console(Console):
    """Shows no character that is not printable, in whatever cell, title or line it stands."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            if segment.control is None and not segment.text.isprintable():
                yield Segment(printable_lines(segment.text), segment.style)
            else:
                yield segment


class _Trimmed(io.StringIO):
    """A standard stream, without the blanks that fill a table's last column up."""

    def __init__(self, *, err: bool) -> None:
        super().__init__()
        self._err = err

    def write(self, text: str) -> int:
        self._stream.write(re.sub(r" +(?=\n)", "", text))
        return len(text)

    def flush(self) -> None:
        self._stream.flush()

    @property
    def _stream(self) -> TextIO:
        return sys.stderr if self._err else sys.stdout
