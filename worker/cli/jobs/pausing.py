"""`python -m worker jobs pause` and `resume`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from worker.cli.jobs.frame import EXIT_NOTHING, ask, myself, refuse
from worker.cli.jobs.options import As
from worker.cli.jobs.output import readable
from worker.inspection import pausing
from worker.inspection.sources import Sources


class Scope(StrEnum):
    """What can be paused."""

    QUEUE = "queue"
    KIND = "kind"


What = Annotated[Scope, typer.Argument(help="A queue, or a kind of job.")]
Name = Annotated[str, typer.Argument(help="The queue's name, or the function's.")]
Anyway = Annotated[bool, typer.Option("--anyway", help="Though nobody knows a kind, or serves a queue, of this name.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; everybody who asks is told.")]


def pause(what: What, name: Name, reason: Reason, anyway: Anyway = False, as_: As = None) -> None:
    """Let no worker begin a job of a queue or a kind. What runs goes on; all workers obey within a second."""
    ask(lambda sources: _pause(sources, what, name, reason, as_ or myself(), anyway=anyway))
    typer.echo(f"{what} {name} is paused; to go on: python -m worker jobs resume {what} {name}")


async def _pause(sources: Sources, what: Scope, name: str, reason: str, actor: str, *, anyway: bool) -> None:
    if what is Scope.KIND and not anyway and name not in (known := await pausing.known_kinds(sources)):
        refuse(f"no job is called {readable(name)}; there are {', '.join(map(readable, known))} (--anyway pauses it)")
    if what is Scope.QUEUE and not anyway and name not in (known := await pausing.known_queues(sources, name)):
        queues = ", ".join(map(readable, known))
        typer.echo(
            f"note: nobody serves the queue {readable(name)}, and nothing waits there; known: {queues}", err=True
        )
    await pausing.pause(sources, what.value, name, reason=reason, actor=actor)


def resume(what: What, name: Name, as_: As = None) -> None:
    """End a pause. Ends with 1 if there was none."""
    if not ask(lambda sources: pausing.resume(sources, what.value, name, actor=as_ or myself())):
        typer.echo(f"{what} {name} was not paused", err=True)
        raise typer.Exit(EXIT_NOTHING)
    typer.echo(f"{what} {name} goes on")
