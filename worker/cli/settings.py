"""`python -m worker settings`."""

from __future__ import annotations

from rich.table import Column, Table

from worker.cli.reading import read_settings
from worker.cli.terminal import console
from worker.printable import printable
from worker.settings import Settings

_WIDTH_OF_A_PIPE = 200


def show() -> None:
    """Every setting: its variable, its value now, its default, what it means. Passwords stay hidden."""
    settings = read_settings()
    # Folded and never cut: half a name or half a URL helps nobody, least of all in a pipe.
    table = Table(
        *(Column(name, overflow="fold") for name in ("variable", "value", "default", "meaning")),
        box=None,
        pad_edge=False,
    )
    for name, field in Settings.model_fields.items():
        default = Settings.model_construct().shown(name)
        value = settings.shown(name)
        table.add_row(name.upper(), printable(value), "" if value == default else default, field.description)
    console(_WIDTH_OF_A_PIPE).print(table)
