"""`python -m worker run`."""

from __future__ import annotations

import logging

import typer

from worker.cli.reading import read_settings
from worker.http.listen import listen_at
from worker.logs import configure_logging
from worker.running import run_worker


def run(
    burst: bool = typer.Option(False, "--burst", help="Stop when nothing is left to do."),
    http: str = typer.Option(
        "", "--http", metavar="HOST:PORT", help="Serve /livez, /readyz and /metrics there; overrides HTTP_LISTEN."
    ),
) -> None:
    """Claim jobs and do them, until SIGTERM or SIGINT."""
    settings = read_settings()
    if http:
        try:
            listen_at(http)
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--http") from None
        settings = settings.model_copy(update={"http_listen": http})
    configure_logging(settings.log_level, settings.log_format)
    logging.captureWarnings(capture=True)  # which would be written to standard error, by the loop, and may block there
    run_worker(settings, burst=burst)
