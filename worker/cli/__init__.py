"""The command line: one module a command, imported when it is asked for.

A worker starts without the pages that people look at, and a mistake in one of them cannot keep it from starting.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import typer
from typer.core import TyperGroup

from worker.collecting import importing
from worker.printable import printable_lines

COMMANDS: Final = {
    "run": "worker.cli.run:run",
    "migrate": "worker.cli.migrate:migrate_command",
    "check": "worker.cli.check:check",
    "jobs": "worker.cli.jobs:create_jobs_app",
    "reconcile": "worker.cli.reconcile:reconcile",
    "prune": "worker.cli.prune:prune",
    "settings": "worker.cli.settings:show",
    "ingest": "worker.cli.ingest:ingest",
    "demo": "worker.cli.demo:demo",
}

_LONGEST_COMPLAINT: Final = 300


def create_app() -> typer.Typer:
    """`python -m worker …`, with every command."""
    app = typer.Typer(
        cls=Commands,
        name="python -m worker",
        help="NoteFlow's job worker: meetings and transcripts, from Redis into PostgreSQL.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,  # they print local variables, and those hold transcripts
    )
    app.callback()(lambda: None)
    return app


class Commands(TyperGroup):
    """The commands by name, in the order of a worker's life."""

    # Typer carries a click of its own, whose types have no public name: hence Any.

    def list_commands(self, ctx: Any) -> list[str]:
        """Every name; nothing is imported for it."""
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """The command of that name, or None."""
        return _imported(cmd_name, COMMANDS[cmd_name]) if cmd_name in COMMANDS else None

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        """Read the arguments before a command's name. What is quoted of them in an error is made printable."""
        try:
            return super().make_context(info_name, args, parent, **extra)
        except Exception as error:
            _make_printable(error)
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run a command. What is wrong with its arguments is said in our words, and printable."""
        try:
            return self._invoke(ctx)
        except Exception as error:
            _make_printable(error)
            raise

    def _invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            errors = getattr(error.__cause__, "errors", None)  # pydantic's, which is imported where it is needed
            if errors is not None:
                from worker.wording import complaint_of

                error.message = complaint_of(errors()[0], errors()[0]["input"])
            if len(error.message) > _LONGEST_COMPLAINT:  # it quotes what was given
                half = _LONGEST_COMPLAINT // 2
                error.message = f"{error.message[:half]}…{error.message[-half:]}"
            raise


def _make_printable(error: Exception) -> None:
    message = getattr(error, "message", None)  # of an error of click's, which prints it
    if isinstance(message, str):
        error.message = printable_lines(message)  # type: ignore[attr-defined]  # see above


def _imported(name: str, place: str) -> Any:
    module, attribute = place.split(":")
    with importing():
        found = getattr(import_module(module), attribute)
    holder = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    holder.callback()(lambda: None)
    if name == "jobs":
        holder.add_typer(found(), name=name)
    else:
        holder.command(name)(found)
    group: Any = typer.main.get_command(holder)
    return group.commands[name]
