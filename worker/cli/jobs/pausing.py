"""`python -m worker jobs pause` and `resume`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from worker.cli.jobs.frame import EXIT_NOTHING, ask, myself
from worker.cli.jobs.options import As
from worker.inspection import pausing


class Scope(StrEnum):
    """What can be paused."""

    QUEUE = "queue"
    KIND = "kind"


What = Annotated[Scope, typer.Argument(help="A queue, or a kind of job.")]
Name = Annotated[str, typer.Argument(help="The queue's name, or the function's.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; everybody who asks is told.")]


def pause(what: What, name: Name, reason: Reason, as_: As = None) -> None:
    """Let no worker begin a job of a queue or a kind. What runs goes on; all workers obey within a second."""
    ask(lambda sources: pausing.pause(sources, what.value, name, reason=reason, actor=as_ or myself()))
    typer.echo(f"{what} {name} is paused; to go on: python -m worker jobs resume {what} {name}")


def resume(what: What, name: Name, as_: As = None) -> None:
    """End a pause. Ends with 1 if there was none."""
    if not ask(lambda sources: pausing.resume(sources, what.value, name, actor=as_ or myself())):
        typer.echo(f"{what} {name} was not paused", err=True)
        raise typer.Exit(EXIT_NOTHING)
    typer.echo(f"{what} {name} goes on")
