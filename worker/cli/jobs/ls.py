"""`python -m worker jobs ls`."""

from __future__ import annotations

import typer
from rich.table import Table

from worker.cli.jobs.frame import ask
from worker.cli.jobs.options import Error, Json, Kind, Limit, Look, Meeting, Since, State, choice_of
from worker.cli.jobs.output import console, emit, note_absent, readable, state, table
from worker.inspection.listing import LOOK, JobRow, list_jobs


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
        return
    if found.rows:
        console().print(rows_table(found.rows))
    else:
        typer.echo("no such job")
    if found.stopped is not None:
        typer.echo(f"note: {found.stopped}", err=True)
    note_absent(found.redis, found.postgresql)


def rows_table(rows: list[JobRow]) -> Table:
    """Jobs as a table."""
    made = table("state", "job", "since / until", "tries", "what is known", numbers=("tries",))
    for row in rows:
        when = "" if row.at is None else f"{row.at:%m-%d %H:%M:%S}"
        tries = "" if row.tries is None else str(row.tries)
        made.add_row(state(row.state), readable(row.job_id), when, tries, readable(_known(row)))
    return made


def _known(row: JobRow) -> str:
    """What the id does not tell already."""
    parts = [part for part in (row.kind, row.meeting_id and str(row.meeting_id)) if part and part not in row.job_id]
    if row.worker is not None:
        parts.append(f"by {row.worker}")
    if row.detail is not None:
        parts.append(row.detail)
    return "   ".join(parts)
