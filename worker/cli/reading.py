"""Settings as a command reads them: sound, or a clear end."""

from __future__ import annotations

import typer

from worker.cli.terminal import echo
from worker.settings import Settings, UnsoundSettings, load_settings

EXIT_SETTINGS = 2


def read_settings() -> Settings:
    """The settings of the environment. Ends the command with 2, naming each variable, where they cannot be right."""
    try:
        return load_settings()
    except UnsoundSettings as error:
        echo(error, err=True)
        raise typer.Exit(EXIT_SETTINGS) from None
