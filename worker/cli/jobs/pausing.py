"""`python -m worker jobs pause` and `resume`."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

import typer

from worker.cli.jobs.frame import EXIT_NOTHING, ask, myself, refuse
from worker.cli.jobs.options import As, Json, sound_text
from worker.cli.jobs.output import emit, plain
from worker.cli.terminal import echo
from worker.inspection import pausing
from worker.inspection.pauses import Pause
from worker.inspection.sources import Sources
from worker.inspection.words import at
from worker.printable import printable

_ALONE = "only Redis knows, and forgets it if it loses its data"


class Scope(StrEnum):
    """What can be paused."""

    QUEUE = "queue"
    KIND = "kind"


What = Annotated[Scope, typer.Argument(help="A queue, or a kind of job.")]
Name = Annotated[str, typer.Argument(help="The queue's name, or the function's.", callback=sound_text)]
Anyway = Annotated[bool, typer.Option("--anyway", help="Though nobody knows a kind, or serves a queue, of this name.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; everybody who asks is told.", callback=sound_text)]


def pause(what: What, name: Name, reason: Reason, anyway: Anyway = False, as_: As = None, json: Json = False) -> None:
    """Let no worker begin a job of a queue or a kind. What runs goes on; all workers obey within a second."""
    replaced, problem = ask(lambda sources: _pause(sources, what, name, reason, as_ or myself(), anyway=anyway))
    if json:
        told = {"scope": what, "name": name, "paused": True, "reason": reason}
        emit({**told, "replaced": None if replaced is None else plain(replaced), "postgresql": problem})
    else:
        if replaced is not None:
            echo(f"{what} {printable(name)} {printable(_was_paused(replaced))}; that is replaced")
        echo(f"{what} {printable(name)} is paused; to go on: python -m worker jobs resume {what} {printable(name)}")
    if problem is not None:
        echo(f"note: {problem}; until it is back and a worker has told it, {_ALONE}", err=True)


def _was_paused(pause: Pause) -> str:
    """By whom, since when and why."""
    by = f" by {pause.actor}" if pause.actor else ""
    when = f" since {at(pause.since)}" if pause.since else ""
    return f"was paused{by}{when}: {pause.reason}"


async def _pause(
    sources: Sources, what: Scope, name: str, reason: str, actor: str, *, anyway: bool
) -> tuple[Pause | None, str | None]:
    """The pause that it replaced, and why PostgreSQL does not know of it; None if there was none, and if it does."""
    if what is Scope.KIND and not anyway and name not in (known := await pausing.known_kinds(sources)):
        refuse(f"no job is called {printable(name)}; there are {', '.join(map(printable, known))} (--anyway pauses it)")
    if what is Scope.QUEUE and not anyway and name not in (known := await pausing.known_queues(sources, name)):
        queues = ", ".join(map(printable, known))
        echo(f"note: nobody serves the queue {printable(name)}, and nothing waits there; known: {queues}", err=True)
    replaced = await pausing.pause(sources, what.value, name, reason=reason, actor=actor)
    return replaced, sources.postgresql_problem


def resume(what: What, name: Name, as_: As = None, json: Json = False) -> None:
    """End a pause. Ends with 1 if there was none."""
    was_paused, others, problem = ask(lambda sources: _resume(sources, what, name, as_ or myself()))
    if json:
        emit({"scope": what, "name": name, "paused": False, "was_paused": was_paused, "postgresql": problem})
    elif was_paused:
        echo(f"{what} {printable(name)} goes on")
    if problem is not None:
        told = _ALONE if was_paused else "whether it remembers a pause that Redis has lost is not known"
        echo(f"note: {problem}; until it is back, {told}", err=True)
    if not was_paused:
        paused = ", ".join(printable(f"{each.scope} {each.name}") for each in others)
        echo(f"{what} {printable(name)} was not paused{f'; paused are: {paused}' if paused else ''}", err=True)
        raise typer.Exit(EXIT_NOTHING)


async def _resume(sources: Sources, what: Scope, name: str, actor: str) -> tuple[bool, list[Pause], str | None]:
    """Whether it was paused, what is paused if it was not, and why PostgreSQL cannot be asked."""
    was_paused = await pausing.resume(sources, what.value, name, actor=actor)
    others = [] if was_paused else await pausing.paused(sources)
    return was_paused, others, sources.postgresql_problem
