"""How answers are written: tables for eyes, JSON for programs, never a colour into a pipe."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final

import typer
from rich.table import Column, Table
from rich.text import Text

from noteflow.infrastructure.queue.decoding import Gap
from worker.cli.jobs.frame import EXIT_AWAY, EXIT_NOTHING
from worker.cli.terminal import echo
from worker.printable import printable

LONGEST_CELL: Final = 1_000
COLOURS: Final = {
    "running": "green", "due": "cyan", "deferred": "blue", "outbox": "blue", "parked": "yellow", "dead": "red",
    "complete": "green", "applied": "green", "already_applied": "green", "superseded": "green",
    "replayed": "green", "dropped": "bright_black", "ok": "green", "warning": "yellow", "error": "red",
}  # fmt: skip


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
    echo(json.dumps(plain(model), indent=2, ensure_ascii=True))


def emit_line(model: Any) -> None:
    """Write a model as one line of JSON."""
    echo(json.dumps(plain(model), ensure_ascii=True))


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
            return {printable(_text(key)): plain(each) for key, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [plain(each) for each in value]
        case str():
            return printable(value)
        case float() if not math.isfinite(value):
            return None
        case None | bool() | int() | float():
            return value
        case _:
            return printable(_text(value))


def cell(text: str) -> str:
    """A text that others wrote, as it is shown within a table or a sentence."""
    return printable(text, LONGEST_CELL)


def unreadable_lines(gaps: Iterable[Gap]) -> list[Text]:
    """What could not be read, a line each, for a page."""
    return [Text(_unreadable(each), style="yellow") for each in gaps]


def note_unreadable(gaps: Iterable[Gap]) -> None:
    """Say on the error stream what could not be read."""
    for each in gaps:
        echo(f"note: {_unreadable(each)}", err=True)


def _unreadable(gap: Gap) -> str:
    return f"unreadable: {cell(gap.place)}: {cell(gap.why)}"


def _text(value: object) -> str:
    try:
        return str(value)
    except Exception as error:  # of a value that a pickle forged, such as a UUID whose number is a text
        return f"unreadable: a {type(value).__name__} ({type(error).__name__})"


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
            echo(f"note: {name} is away, so what only it knows is missing here: {problem}", err=True)
