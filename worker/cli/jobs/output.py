"""How answers are written: tables for eyes, JSON for programs, never a colour into a pipe."""

from __future__ import annotations

import dataclasses
import io
import json
import math
import re
import sys
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from worker.cli.jobs.frame import EXIT_AWAY, EXIT_NOTHING

WIDTH_OF_A_PIPE: Final = 300
COLOURS: Final = {
    "running": "green", "due": "cyan", "deferred": "blue", "outbox": "blue", "parked": "yellow", "dead": "red",
    "complete": "green", "applied": "green", "already_applied": "green", "superseded": "green",
    "replayed": "green", "dropped": "bright_black", "ok": "green", "warning": "yellow", "error": "red",
}  # fmt: skip


def console(width_of_a_pipe: int = WIDTH_OF_A_PIPE) -> Console:
    """Where tables go. A pipe has no width to ask for."""
    made = Console(highlight=False, emoji=False, markup=False)
    if made.is_terminal:
        return made
    return Console(highlight=False, emoji=False, markup=False, width=width_of_a_pipe, file=_Trimmed())


class _Trimmed(io.StringIO):
    """Standard output, without the blanks that fill a table's last column up."""

    def write(self, text: str) -> int:
        sys.stdout.write(re.sub(r" +(?=\n)", "", text))
        return len(text)

    def flush(self) -> None:
        sys.stdout.flush()


def table(*names: str, numbers: Iterable[str] = (), **more: Any) -> Table:
    """A plain table. Cells are folded and never cut: half an id helps nobody."""
    right = set(numbers)
    columns = [
        Column(name, overflow="fold", justify="right" if name in right else "left", no_wrap=name in right)
        for name in names
    ]
    return Table(*columns, box=None, pad_edge=False, header_style="bold", **more)


def state(name: str) -> Text:
    """A state in its colour."""
    return Text(name, style=COLOURS.get(name, ""))


def emit(model: Any) -> None:
    """Write a model, or a list of them, as JSON."""
    typer.echo(json.dumps(plain(model), indent=2, ensure_ascii=False))


def emit_line(model: Any) -> None:
    """Write a model as one line of JSON."""
    typer.echo(json.dumps(plain(model), ensure_ascii=False))


def plain(value: Any) -> Any:
    """Plain JSON values: the fields' names, times in ISO 8601, and no payload in the raw."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = dataclasses.fields(value)
        return {each.name: plain(getattr(value, each.name)) for each in fields if each.name != "body"}
    match value:
        case Enum():
            return value.value
        case datetime():
            return value.isoformat()
        case Mapping():
            return {str(key): plain(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each) for each in value]
        case str():
            return readable(value)
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float():
            return value
        case _:
            return str(value)


def readable(text: str) -> str:
    """The text with what no terminal should be sent made visible: control characters, and bytes that were no UTF-8."""
    sound = text.encode("utf-8", "backslashreplace").decode()
    if sound.isprintable():
        return sound
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in sound)


def end(redis: str | None, postgresql: str | None, *, nothing: bool = False) -> None:
    """Name the servers that are away. Ends the command with 3 if there is one, with 1 if nothing was found."""
    note_absent(redis, postgresql)
    if redis is not None or postgresql is not None:
        raise typer.Exit(EXIT_AWAY)
    if nothing:
        raise typer.Exit(EXIT_NOTHING)


def note_absent(redis: str | None, postgresql: str | None) -> None:
    """Say on the error stream which server could not be asked."""
    for name, problem in (("Redis", redis), ("PostgreSQL", postgresql)):
        if problem is not None:
            typer.echo(f"note: {name} is away, so what only it knows is missing here: {problem}", err=True)
