"""`python -m worker settings`."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from worker.cli.reading import read_settings
from worker.settings import Settings


def show() -> None:
    """Every setting: its variable, its value now, its default, what it means. Passwords stay hidden."""
    settings = read_settings()
    table = Table("variable", "value", "default", "meaning", box=None, pad_edge=False)
    for name, field in Settings.model_fields.items():
        default = Settings.model_construct().shown(name)
        value = settings.shown(name)
        table.add_row(name.upper(), value, "" if value == default else default, field.description)
    Console().print(table)
