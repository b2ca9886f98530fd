"""`python -m worker jobs dead …`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer
from rich.padding import Padding
from rich.text import Text

from noteflow.infrastructure.queue.decoding import Gap
from worker.cli.jobs.bulk import Came, agree, named_once, report
from worker.cli.jobs.cautions import caution_on_refused
from worker.cli.jobs.editing import edited
from worker.cli.jobs.frame import ask, myself, refuse
from worker.cli.jobs.ls import ls
from worker.cli.jobs.options import (
    As,
    Error,
    Ids,
    Json,
    Kind,
    Limit,
    Meeting,
    Note,
    Reveal,
    Since,
    Yes,
    choice_of,
)
from worker.cli.jobs.output import emit, end, note_unreadable
from worker.cli.jobs.show import letter_view
from worker.cli.jobs.why import JobId
from worker.cli.terminal import console, echo
from worker.inspection import replaying
from worker.inspection.acted import Acted
from worker.inspection.acts import Act, record
from worker.inspection.choice import Choice, JobState
from worker.inspection.letters import Letter, letters_of
from worker.inspection.listing import LOOK, list_jobs
from worker.inspection.sources import PostgresAway, Sources
from worker.inspection.words import at
from worker.printable import printable

Edit = Annotated[bool, typer.Option("--edit", help="Mend the payload in $EDITOR first. This reveals it, and is noted.")]


def create_dead_app() -> typer.Typer:
    """`python -m worker jobs dead …`, with every command."""
    app = typer.Typer(help="Jobs that will not be tried again by themselves.", no_args_is_help=True)
    app.command("ls")(dead_ls)
    app.command("show")(dead_show)
    app.command("replay")(dead_replay)
    app.command("drop")(dead_drop)
    return app


def dead_ls(
    kind: Kind = None,
    meeting: Meeting = None,
    error: Error = None,
    since: Since = None,
    limit: Limit = 50,
    json: Json = False,
) -> None:
    """Dead letters, newest first."""
    ls([JobState.DEAD], kind, meeting, error, since, limit, LOOK, json)


def dead_show(job_id: JobId, reveal: Reveal = False, as_: As = None, json: Json = False) -> None:
    """Every letter that a job left, also those that were replayed or dropped."""
    letters, unreadable, problem = ask(lambda sources: _letters(sources, job_id, as_ or myself(), reveal=reveal))
    if json:
        emit(letters)
    for letter in letters if not json else ():
        screen = console(120)
        screen.print(Text(f"{_since(letter)}: {printable(letter.reason)}", style="bold"))
        screen.print(Padding(letter_view(letter), (0, 0, 1, 2)))
    if not letters:
        known = "left no dead letter" if problem is None else "has no dead letter that can be seen now"
        echo(f"jobs: {printable(job_id)} {known}", err=True)
    note_unreadable(unreadable)
    end(None, problem, nothing=not letters)


def _since(letter: Letter) -> str:
    if letter.state == "dead":
        return f"dead since {at(letter.died_at)}"
    return f"{letter.state} at {at(letter.acted_at)}, died at {at(letter.died_at)}"


def dead_replay(
    ids: Ids = None,
    kind: Kind = None,
    meeting: Meeting = None,
    error: Error = None,
    since: Since = None,
    limit: Limit = 1_000,
    edit: Edit = False,
    note: Note = None,
    as_: As = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Have dead jobs run again, under their ids. The ledger sees to it that nothing is applied twice."""
    actor = as_ or myself()
    if edit:
        if ids is None or len(ids) != 1:
            refuse("--edit mends one job: name it by its id")
        report(ask(lambda sources: _edit_and_replay(sources, ids[0], actor, note)), json=json)
        return
    chosen = _chosen("replay", ids, choice_of([JobState.DEAD], kind, meeting, error, since), limit, yes=yes, json=json)
    came = ask(lambda sources: _each(sources, chosen, actor, note, drop=False))
    report(came if ids else replace(came, warned=True), json=json)


def dead_drop(
    ids: Ids = None,
    kind: Kind = None,
    meeting: Meeting = None,
    error: Error = None,
    since: Since = None,
    limit: Limit = 1_000,
    note: Note = None,
    as_: As = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Put dead letters aside."""
    chosen = _chosen("drop", ids, choice_of([JobState.DEAD], kind, meeting, error, since), limit, yes=yes, json=json)
    report(ask(lambda sources: _each(sources, chosen, as_ or myself(), note, drop=True)), json=json)


def _chosen(
    verb: str, ids: Sequence[str] | None, choice: Choice, limit: int, *, yes: bool, json: bool
) -> Sequence[str]:
    named_once(ids, not choice.is_everything, "--kind, --meeting, --error, --since")
    if ids:
        return ids
    found = ask(lambda sources: list_jobs(sources, choice, limit=limit))
    caution = caution_on_refused(row.detail for row in found.rows) if verb == "replay" else None
    agree(verb, found.rows, found, yes=yes, json=json, caution=caution)
    return [row.job_id for row in found.rows]


async def _each(sources: Sources, ids: Sequence[str], actor: str, note: str | None, *, drop: bool) -> Came:
    acted = []
    for job_id in ids:
        letter = await _dead(sources, job_id)
        try:
            if letter is None:
                acted.append(Acted(job_id, False, await _not_dead(sources, job_id)))
            elif drop:
                acted.append(await replaying.drop(sources, letter, actor, note))
            else:
                acted.append(await replaying.replay(sources, letter, actor, note))
        except PostgresAway as error:
            acted.append(Acted(job_id, False, f"it is kept in PostgreSQL, which is away: {error}"))
    return Came.of(acted, sources)


async def _edit_and_replay(sources: Sources, job_id: str, actor: str, note: str | None) -> Came:
    letter = await _dead(sources, job_id)
    if letter is None or letter.body is None:
        complaint = await _not_dead(sources, job_id) if letter is None else "its payload was gone before it died"
        return Came.of([Acted(job_id, False, complaint)], sources)
    await record(sources, [Act("reveal", actor, job_id=job_id, note="to edit it")])
    body = edited(letter.body)
    if body is None:
        return Came.of([Acted(job_id, False, "nothing was changed, so nothing was done")], sources)
    return Came.of([await replaying.replay(sources, letter, actor, note, body=body)], sources)


async def _not_dead(sources: Sources, job_id: str) -> str:
    before = next(iter(await letters_of(sources, job_id)), None)
    if sources.postgresql_problem is not None:
        return "it is not among the dead of Redis, and PostgreSQL is away, which keeps the others"
    if before is not None:
        return f"its letter was {'put aside' if before.state == 'dropped' else before.state} already"
    if sources.redis_problem is not None:
        return "it is not among the dead of PostgreSQL, and Redis is away, which may have others"
    return "it is not dead"


async def _dead(sources: Sources, job_id: str) -> Letter | None:
    return next((letter for letter in await letters_of(sources, job_id) if letter.state == "dead"), None)


async def _letters(
    sources: Sources, job_id: str, actor: str, *, reveal: bool
) -> tuple[list[Letter], list[Gap], str | None]:
    if reveal:
        await record(sources, [Act("reveal", actor, job_id=job_id)])
    letters = await letters_of(sources, job_id, reveal=reveal)
    return letters, sources.gaps.found, sources.postgresql_problem
