"""`python -m worker jobs why`."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from worker.cli.jobs.frame import ask
from worker.cli.jobs.options import Json, sound_ids
from worker.cli.jobs.output import emit, end
from worker.cli.terminal import console
from worker.inspection.job import read_job
from worker.inspection.sources import Sources
from worker.inspection.why import Why
from worker.inspection.why import why as explain
from worker.printable import printable

JobId = Annotated[str, typer.Argument(metavar="ID", help="The job's id.", callback=sound_ids)]


def why(job_id: JobId, json: Json = False) -> None:
    """One sentence why a job is not running, or what became of it, and the command that would change it."""
    answer, redis, postgresql = ask(lambda sources: _answer(sources, job_id))
    if json:
        emit(answer)
    else:
        screen = console(120)
        # Left to the terminal to wrap: a command that was broken into lines cannot be copied.
        screen.print(Text(printable(answer.sentence), style="bold"), soft_wrap=True)
        if answer.command is not None:
            screen.print(Text(f"  → python -m worker {printable(answer.command)}", style="cyan"), soft_wrap=True)
    end(redis, postgresql, nothing=answer.code == "unknown")


async def _answer(sources: Sources, job_id: str) -> tuple[Why, str | None, str | None]:
    answer = explain(*await read_job(sources, job_id))
    return answer, sources.redis_problem, sources.postgresql_problem
