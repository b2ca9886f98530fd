"""`python -m worker run`."""

from __future__ import annotations

import typer

from worker.cli.reading import read_settings
from worker.logs import configure_logging
from worker.running import run_worker


def run(burst: bool = typer.Option(False, "--burst", help="Stop when nothing is left to do.")) -> None:
    """Claim jobs and do them, until SIGTERM or SIGINT."""
    settings = read_settings()
    configure_logging(settings.log_level, settings.log_format)
    run_worker(settings, burst=burst)
