"""The command line: one module a command."""

from __future__ import annotations

import typer

from worker.cli import demo, ingest, migrate, run, settings


def create_app() -> typer.Typer:
    """`python -m worker …`, with every command."""
    app = typer.Typer(
        name="python -m worker",
        help="NoteFlow's job worker: meetings and transcripts, from Redis into PostgreSQL.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # they print local variables, and those hold transcripts
    )
    app.command("run")(run.run)
    app.command("migrate")(migrate.migrate_command)
    app.command("demo")(demo.demo)
    app.command("ingest")(ingest.ingest)
    app.command("settings")(settings.show)
    return app
