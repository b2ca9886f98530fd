"""Say what a verb would do to many jobs, ask, and say what came of it."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import typer

from worker.cli.jobs.cautions import cautioned, cautions_on_all
from worker.cli.jobs.frame import EXIT_NOTHING, refuse
from worker.cli.jobs.ls import print_rows
from worker.cli.jobs.output import emit, end, note_absent, note_unreadable
from worker.cli.terminal import confirm, console, echo
from worker.inspection.acted import Acted, ActTold
from worker.inspection.listing import JobRow, Listing
from worker.inspection.sources import Sources
from worker.inspection.words import count
from worker.printable import printable

SHOWN: Final = 10


@dataclass(frozen=True, slots=True)
class Came:
    """What came of a verb for each job, and which servers could not be asked meanwhile.

    `warned` says that who answered `agree` has been told of those that were refused.
    """

    acted: Sequence[Acted]
    redis: str | None
    postgresql: str | None
    warned: bool = False

    @classmethod
    def of(cls, acted: Sequence[Acted], sources: Sources) -> Came:
        """What came of it, with what the sources found to be away."""
        return cls(acted, sources.redis_problem, sources.postgresql_problem)


def named_once(ids: Sequence[str] | None, is_chosen: bool, options: str) -> None:
    """End the command with 2 unless jobs are named by their ids, or chosen by options, and not by both."""
    if ids and is_chosen:
        refuse(f"name jobs by their ids, or choose them by {options}; not both at once")
    if not ids and not is_chosen:
        refuse(f"which jobs? Name them by their ids, or choose them by {options}")


def agree(
    verb: str, rows: Sequence[JobRow], found: Listing, *, yes: bool, json: bool, caution: str | None = None
) -> None:
    """Show the jobs that are meant, with a caution if there is one, and ask.

    Ends the command with 1 if there are none or the answer is no, with 3 if there are none and a server is away that
    may know some.
    """
    if not rows:
        if json:
            emit([])
        is_sure = found.redis is None and found.postgresql is None
        echo("no such job" if is_sure else "no such job can be seen now", err=True)
        end(found.redis, found.postgresql, nothing=True)
    note_unreadable(found.unreadable)
    if not json:
        print_rows(console(), list(rows[:SHOWN]))
        if len(rows) > SHOWN:
            echo(f"… and {len(rows) - SHOWN:,} more")
        counted = ", ".join(f"{number:,} {state}" for state, number in Counter(row.state for row in rows).items())
        echo(f"{verb} would be done to {count(len(rows), 'job')}: {counted}")
        for note in (caution, found.stopped):
            if note is not None:
                echo(f"note: {note}", err=True)
    if yes:
        return
    if not sys.stdin.isatty():
        refuse("nobody is there to be asked: look at what is shown, then add --yes")
    if not confirm(f"{verb} {count(len(rows), 'job')}?"):
        raise typer.Exit(EXIT_NOTHING)


def report(came: Came, *, json: bool) -> None:
    """Say what came of it. Ends with 1 if not all was done, with 3 if a server is away that it may have taken."""
    acted = came.acted
    if json:
        emit([ActTold(each.job_id, each.done, cautioned(each)) for each in acted])
    else:
        few = len(acted) <= 2 * SHOWN
        for each in acted:
            if few or not each.done:
                what = cautioned(each) if len(acted) == 1 else each.what
                echo(f"{'done' if each.done else 'not done'}   {printable(each.job_id)}   {printable(what)}")
        if not few:
            echo(f"done to {sum(each.done for each in acted):,} of {len(acted):,}")
        for note in cautions_on_all(acted, refused=not came.warned) if len(acted) > 1 else ():
            echo(f"note: {note}", err=True)
    undone = not all(each.done for each in acted)
    if undone:
        end(came.redis, came.postgresql, nothing=True)
    note_absent(came.redis, came.postgresql)
