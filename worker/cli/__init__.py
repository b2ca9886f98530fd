"""The command line: one module a command."""

from __future__ import annotations

import typer

from worker.cli import check, demo, ingest, migrate, prune, reconcile, run, settings
from worker.cli.jobs import create_jobs_app


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
    app.command("check")(check.check)
    app.command("reconcile")(reconcile.reconcile)
    app.command("prune")(prune.prune)
    app.add_typer(create_jobs_app(), name="jobs")
    return app
