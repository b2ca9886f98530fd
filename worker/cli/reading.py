"""Settings as a command reads them: sound, or a clear end."""

from __future__ import annotations

from typing import NoReturn

import typer
from pydantic import ValidationError

from worker.settings import Settings

EXIT_SETTINGS = 2


def read_settings() -> Settings:
    """The settings of the environment. Ends the command with 2, naming each variable, where they cannot be right."""
    try:
        settings = Settings()
    except ValidationError as error:
        # The values themselves are left out: one of them may be a URL with a password.
        refuse([f"{'.'.join(map(str, one['loc'])).upper()}: {one['msg']}" for one in error.errors(include_input=False)])
    if complaints := settings.contradictions():
        refuse(complaints)
    return settings


def refuse(complaints: list[str]) -> NoReturn:
    """End the command, naming what is wrong with its settings."""
    for complaint in complaints:
        typer.echo(f"settings: {complaint}", err=True)
    raise typer.Exit(EXIT_SETTINGS)
