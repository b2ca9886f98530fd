"""`python -m worker jobs retry`, `cancel` and `drop`: by id, or by filter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from worker.cli.jobs.bulk import Came, agree, named_once, report
from worker.cli.jobs.cautions import caution_on_refused
from worker.cli.jobs.frame import ask, myself
from worker.cli.jobs.options import (
    As,
    Error,
    Ids,
    Json,
    Kind,
    Limit,
    Look,
    Meeting,
    Note,
    Since,
    State,
    Yes,
    choice_of,
)
from worker.inspection.choice import Choice, JobState
from worker.inspection.listing import LOOK, JobRow, Listing, list_jobs
from worker.inspection.sources import Sources
from worker.inspection.steering import Steering, Verb


def retry(
    ids: Ids = None,
    state: State = None,
    kind: Kind = None,
    meeting: Meeting = None,
    error: Error = None,
    since: Since = None,
    limit: Limit = 1_000,
    look: Look = LOOK,
    note: Note = None,
    as_: As = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Let jobs run now: the deferred and handed back become due, the parked try again, the dead are replayed."""
    _do(Verb.RETRY, ids, _choice(state, kind, meeting, error, since), limit, look, note, as_, yes=yes, json=json)


def cancel(
    ids: Ids = None,
    state: State = None,
    kind: Kind = None,
    meeting: Meeting = None,
    error: Error = None,
    since: Since = None,
    limit: Limit = 1_000,
    look: Look = LOOK,
    note: Note = None,
    as_: As = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Keep jobs from running, or stop them: they become dead letters, which can be replayed."""
    _do(Verb.CANCEL, ids, _choice(state, kind, meeting, error, since), limit, look, note, as_, yes=yes, json=json)


def drop(
    ids: Ids = None,
    state: State = None,
    kind: Kind = None,
    meeting: Meeting = None,
    error: Error = None,
    since: Since = None,
    limit: Limit = 1_000,
    look: Look = LOOK,
    note: Note = None,
    as_: As = None,
    yes: Yes = False,
    json: Json = False,
) -> None:
    """Remove jobs that wait, or put dead letters aside. Nothing brings a waiting job back that was dropped."""
    _do(Verb.DROP, ids, _choice(state, kind, meeting, error, since), limit, look, note, as_, yes=yes, json=json)


def _choice(*filters: object) -> Choice | None:
    return choice_of(*filters) if any(each is not None for each in filters) else None  # type: ignore[arg-type]  # as given


def _do(
    verb: Verb,
    ids: Sequence[str] | None,
    choice: Choice | None,
    limit: int,
    look: int,
    note: str | None,
    actor: str | None,
    *,
    yes: bool,
    json: bool,
) -> None:
    named_once(ids, choice is not None, "--state, --kind, --meeting, --error, --since")
    if ids is None or choice is not None:
        assert choice is not None
        found = ask(lambda sources: list_jobs(sources, choice, limit=limit, look=look))
        rows = _without_complete(found)
        agree(verb.value, rows, found, yes=yes, json=json, caution=_caution(verb, rows))
        ids = [row.job_id for row in rows]
    came = ask(lambda sources: _act(sources, verb, ids, actor or myself(), note))
    report(replace(came, warned=choice is not None), json=json)


async def _act(sources: Sources, verb: Verb, ids: Sequence[str], actor: str, note: str | None) -> Came:
    steering = Steering(sources, actor, note)
    return Came.of([await steering.act(verb, job_id) for job_id in ids], sources)


def _caution(verb: Verb, rows: Sequence[JobRow]) -> str | None:
    dead = [row.detail for row in rows if row.state is JobState.DEAD]
    return caution_on_refused(dead) if verb is Verb.RETRY else None


def _without_complete(found: Listing) -> list[JobRow]:
    return [row for row in found.rows if row.state is not JobState.COMPLETE]
