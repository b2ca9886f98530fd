"""Say what a verb would do to many jobs, ask, and say what came of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from typing import Final

import typer

from worker.cli.jobs.frame import EXIT_NOTHING, refuse
from worker.cli.jobs.ls import print_rows
from worker.cli.jobs.output import console, emit, readable
from worker.inspection.acted import Acted
from worker.inspection.listing import JobRow
from worker.inspection.words import count

SHOWN: Final = 10


def agree(verb: str, rows: Sequence[JobRow], *, stopped: str | None, yes: bool, json: bool) -> None:
    """Show the jobs that are meant and ask. Ends the command with 1 if there are none or the answer is no."""
    if not rows:
        if json:
            emit([])
        typer.echo("no such job", err=True)
        raise typer.Exit(EXIT_NOTHING)
    if not json:
        print_rows(console(), list(rows[:SHOWN]))
        if len(rows) > SHOWN:
            typer.echo(f"… and {len(rows) - SHOWN:,} more")
        counted = ", ".join(f"{number:,} {state}" for state, number in Counter(row.state for row in rows).items())
        typer.echo(f"{verb} would be done to {count(len(rows), 'job')}: {counted}")
        if stopped is not None:
            typer.echo(f"note: {stopped}", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        refuse("nobody is there to be asked: look at what is shown, then add --yes")
    if not typer.confirm(f"{verb} {count(len(rows), 'job')}?"):
        raise typer.Exit(EXIT_NOTHING)


def report(acted: Sequence[Acted], *, json: bool) -> None:
    """Say what came of it, and end with 1 if not all was done."""
    if json:
        emit(list(acted))
    else:
        few = len(acted) <= 2 * SHOWN
        for each in acted:
            if few or not each.done:
                typer.echo(f"{'done' if each.done else 'not done'}   {readable(each.job_id)}   {each.what}")
        if not few:
            typer.echo(f"done to {sum(each.done for each in acted):,} of {len(acted):,}")
    if not all(each.done for each in acted):
        raise typer.Exit(EXIT_NOTHING)
