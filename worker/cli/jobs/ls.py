"""`python -m worker jobs ls`."""

from __future__ import annotations

from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.jobs.frame import ask
from worker.cli.jobs.options import Error, Json, Kind, Limit, Look, Meeting, Since, State, choice_of
from worker.cli.jobs.output import cell, emit, end, note_unreadable, state, table
from worker.cli.terminal import console, echo
from worker.inspection.choice import UNFINISHED, Choice, JobState
from worker.inspection.listing import LOOK, JobRow, Listing, list_jobs
from worker.inspection.words import count
from worker.printable import printable

WIDE: Final = 160


def ls(
    state: State = None,
    kind: Kind = None,
    meeting: Meeting = None,
    error: Error = None,
    since: Since = None,
    limit: Limit = 50,
    look: Look = LOOK,
    json: Json = False,
) -> None:
    """Jobs: running first, then due, deferred, not yet in Redis, parked and dead; complete ones when asked for."""
    choice = choice_of(state, kind, meeting, error, since)
    found = ask(lambda sources: list_jobs(sources, choice, limit=limit, look=look))
    if json:
        emit(found)
    elif found.rows:
        print_rows(console(), found.rows)
    else:
        echo(nothing_of(choice, found))
    if found.stopped is not None:
        echo(f"note: {found.stopped}", err=True)
    note_unreadable(found.unreadable)
    end(found.redis, found.postgresql)


def nothing_of(choice: Choice, found: Listing) -> str:
    """What an empty list means: there is no such job only if everybody could be asked."""
    if found.redis is not None or found.postgresql is not None or found.unreadable:
        return "no such job can be seen now"
    if not choice.is_everything:
        return "no such job"
    if choice.states == UNFINISHED:
        return "no unfinished job"
    if choice.states == {JobState.DEAD}:
        return "no dead letter"
    return f"no job is {' or '.join(sorted(choice.states))}"


def print_rows(screen: Console, rows: list[JobRow]) -> None:
    """Jobs as a table; where that would be too narrow for their ids, two lines a job."""
    if screen.width >= WIDE:
        screen.print(_table(rows))
        return
    for row in rows:
        screen.print(_lines(row), soft_wrap=True)


def _lines(row: JobRow) -> Text:
    """The id stands alone and unbroken, so that it can be copied."""
    when = "" if row.at is None else f"  {row.at:%m-%d %H:%M:%S}"
    tries = f"  {count(row.tries, 'try', 'tries')}" if row.tries else ""
    return Text.assemble(state(row.state), when, tries, f"  {cell(_known(row))}\n  ", (printable(row.job_id), "bold"))


def _table(rows: list[JobRow]) -> Table:
    made = table("state", "job", "since / until", "tries", "what is known", numbers=("tries",))
    for row in rows:
        when = "" if row.at is None else f"{row.at:%m-%d %H:%M:%S}"
        tries = "" if row.tries is None else str(row.tries)
        made.add_row(state(row.state), printable(row.job_id), when, tries, cell(_known(row)))
    return made


def _known(row: JobRow) -> str:
    """What the id does not tell already."""
    parts = [part for part in (row.kind, row.meeting_id and str(row.meeting_id)) if part and part not in row.job_id]
    if row.worker is not None:
        parts.append(f"by {row.worker}")
    if row.detail is not None:
        parts.append(row.detail)
    return "   ".join(parts)
