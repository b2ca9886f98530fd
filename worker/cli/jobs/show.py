"""`python -m worker jobs show`."""

from __future__ import annotations

import json as json_text
from datetime import datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from worker.cli.jobs.frame import ask, myself
from worker.cli.jobs.options import As, Json, Reveal
from worker.cli.jobs.output import cell, emit, end, plain, table, unreadable_lines
from worker.cli.jobs.why import JobId
from worker.cli.terminal import console, echo
from worker.inspection.acts import Act, record
from worker.inspection.fleet import Fleet
from worker.inspection.footprint import Place
from worker.inspection.job import JobFacts, LedgerRow, read_job
from worker.inspection.letters import AttemptTold, Letter
from worker.inspection.sources import Sources
from worker.inspection.why import why as explain
from worker.inspection.words import at, count, since, span
from worker.printable import printable


def show(job_id: JobId, reveal: Reveal = False, as_: As = None, json: Json = False) -> None:
    """All that is known of a job: payload, attempts with their errors, worker, times, ledger, outbox, letters, acts."""
    facts, fleet = ask(lambda sources: read_for(sources, job_id, as_ or myself(), reveal=reveal))
    if json:
        emit(facts)
    elif facts.is_known or facts.unreadable:
        screen = console(120)
        screen.print(Text(printable(explain(facts, fleet).sentence), style="bold"))
        for title, part in _parts(facts):
            screen.print(Text(f"\n{title}", style="bold cyan"))
            screen.print(Padding(part, (0, 0, 0, 2)))
    else:
        echo(printable(explain(facts, fleet).sentence))
    end(facts.redis, facts.postgresql, nothing=not facts.is_known)


async def read_for(sources: Sources, job_id: str, actor: str, *, reveal: bool) -> tuple[JobFacts, Fleet | None]:
    """The facts; revealing is told before anything is read, or it is refused."""
    if reveal:
        await record(sources, [Act("reveal", actor, job_id=job_id)])
    return await read_job(sources, job_id, reveal=reveal)


def _parts(facts: JobFacts) -> list[tuple[str, RenderableType]]:
    parts: list[tuple[str, RenderableType]] = []
    if (envelope := facts.envelope) is not None:
        head = f"{envelope.codec or 'unreadable'}, {envelope.size_bytes:,} bytes, enqueued {at(envelope.enqueued_at)}"
        lines = [f"{envelope.function or '<unknown>'}   {head}"]
        if envelope.refusal:
            lines.append(f"this version refuses it: {envelope.refusal}")
        parts.append(
            (
                "payload",
                Group(*map(Text, map(printable, lines)), _json({**_positional(envelope.args), **envelope.kwargs})),
            )
        )
    if (mark := facts.footprint) is not None and (mark.is_anything or mark.handed_back):
        rows: dict[str, Any] = {}
        if mark.place is not None:
            rows["place"] = f"{mark.place.before_it:,} before it in {mark.place.queue}, {_turn(mark.place)}"
        if mark.lease is not None:
            held = f", since {since(mark.lease.since, mark.now)}" if mark.lease.since else ""
            rows["lease"] = f"{mark.lease.worker}{held}, ends in {span(mark.lease.ends_in_s or 0)} unless it is renewed"
        if mark.place or mark.lease:
            crashes = "an unreadable number of workers" if mark.crashes is None else count(mark.crashes, "worker")
            rows["tries"] = f"{'unreadable' if mark.tries is None else mark.tries} begun, {crashes} died running it"
        for each in mark.handed_back:
            by = f" by {each.worker}" if each.worker else ""
            rows[f"handed back: {each.reason}"] = f"{count(each.times, 'time')}, last at {at(each.last_at)}{by}"
        if mark.is_marked_for_abort:
            rows["abort"] = "marked"
        if (result := mark.result) is not None:
            rows["result"] = f"{result.outcome or result.error or 'kept'}, at {at(result.finished_at)}"
        parts.append(("redis", _grid(rows)))
        if mark.attempts:
            parts.append(("attempts that failed", attempts_table(mark.attempts)))
    for row in facts.ledger:
        parts.append(("ledger", _grid(_fields(row, but="errors"))))
        if row.errors:
            parts.append(("attempts", _attempts_with_the_last(row)))
    if facts.outbox is not None:
        parts.append(("outbox", _grid(_fields(facts.outbox))))
    parts += [(f"dead letter, {letter.state}", letter_view(letter)) for letter in facts.letters]
    if facts.acts:
        parts.append(("acts", acts_table(facts.acts)))
    if facts.unreadable:
        parts.append(("unreadable", Group(*unreadable_lines(facts.unreadable))))
    return parts


def _turn(place: Place) -> str:
    """When its turn is; of a claimed job, when its lease ends."""
    if place.is_shelved:
        return "out of everybody's way until its kind is resumed"
    if place.was_claimed:
        return f"claimed until {at(place.due_at)}"
    return f"due {'since' if place.is_due else 'at'} {at(place.due_at)}"


def letter_view(letter: Letter) -> RenderableType:
    """A letter: its fields, then its attempts."""
    fields = _fields(letter, but="attempts")
    return Group(_grid(fields), attempts_table(letter.attempts)) if letter.attempts else _grid(fields)


def attempts_table(attempts: list[AttemptTold]) -> Table:
    """The attempts that failed, oldest first."""
    made = table("at", "try", "error", "worker", numbers=("try",))
    for each in attempts:
        said = f"{each.error.rpartition('.')[2]}: {each.message}"
        made.add_row(at(each.at), str(each.attempt or ""), cell(said), cell(each.worker or ""))
    return made


def _attempts_with_the_last(row: LedgerRow) -> Table:
    """Those that failed, and the one that did it."""
    made = attempts_table(row.errors)
    made.add_row(at(row.committed_at), str(row.attempts), Text(row.outcome, style="green"), printable(row.worker))
    return made


def acts_table(acts: list[Act]) -> Table:
    """What operators did, newest first."""
    made = table("at", "who", "act", "to", "note")
    for act in acts:
        made.add_row(at(act.at), *map(cell, (act.actor, act.act, act.job_id or act.target or "", act.note or "")))
    return made


def _fields(row: Any, *, but: str = "") -> dict[str, Any]:
    """A row's fields for eyes: times as everywhere else."""
    return {
        name: at(known) if isinstance(known := getattr(row, name), datetime) else value
        for name, value in plain(row).items()
        if name != but
    }


def _grid(fields: dict[str, Any]) -> Table:
    made = Table.grid(padding=(0, 2))
    made.add_column()
    made.add_column(overflow="fold")
    for name, value in fields.items():
        if value is not None and value != [] and value != "":
            made.add_row(
                Text(name, style="dim"), printable(value if isinstance(value, str) else json_text.dumps(value))
            )
    return made


def _positional(args: list[Any]) -> dict[str, Any]:
    return {"args": args} if args else {}


def _json(values: dict[str, Any]) -> Text:
    lines = json_text.dumps(plain(values), indent=2, ensure_ascii=False).split("\n")
    if len(lines) > 40:
        lines = [*lines[:30], f"  … {len(lines) - 34:,} more lines (--json shows all) …", *lines[-4:]]
    return Text("\n".join(lines))
