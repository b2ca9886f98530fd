"""`python -m worker reconcile`."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Annotated
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from noteflow.domain.errors import Unavailable
from worker.cli.jobs.frame import EXIT_AWAY
from worker.cli.jobs.options import Json, moment_of
from worker.cli.jobs.output import COLOURS, console, emit, readable, table
from worker.cli.reading import read_settings
from worker.inspection.loss import read_loss, uncounted
from worker.inspection.sources import open_sources
from worker.inspection.words import count
from worker.reconcile import BatchFinding, JobState, Report, examine, repair
from worker.settings import Settings

EXIT_GAPS = 4
MOST_SHOWN = 50
MOST_NUMBERS = 20
_COLOURS = {**COLOURS, JobState.MISSING: "bold red", JobState.DOUBLED: "yellow", JobState.WAITING: "cyan"}


def reconcile(
    meeting: Annotated[UUID | None, typer.Option(help="Only this meeting, and every job of it.")] = None,
    since: Annotated[str, typer.Option(help="How far back the ledger and the dead are looked at: 24h, 7d.")] = "24h",
    mend: Annotated[bool, typer.Option("--repair", help="Enqueue what is missing again.")] = False,
    json: Json = False,
) -> None:
    """Say what became of every job: applied, waiting, running, parked, dead, missing or doubled.

    Ends with 0 if nothing is missing, with 4 while a job or a numbered batch is, with 3 if a server is away.
    """
    settings = read_settings()
    began = moment_of(since)
    assert began is not None
    try:
        report = asyncio.run(_reconcile(settings, meeting, began, mend=mend))
    except Unavailable as error:
        typer.echo(f"reconcile: {error}", err=True)
        raise typer.Exit(EXIT_AWAY) from None
    if json:
        emit(report)
    else:
        _show(report)
    raise typer.Exit(EXIT_GAPS if report.has_gaps else 0)


async def _reconcile(settings: Settings, meeting: UUID | None, since: datetime, *, mend: bool) -> Report:
    async with open_sources(settings) as sources:
        ask = (sources.engine, sources.redis, settings.queue_name)
        report = await examine(*ask, since=since, meeting_id=meeting)
        repaired: Sequence[str] = ()
        if mend:
            repaired = await repair(sources.engine, sources.redis, report)
            report = await examine(*ask, since=since, meeting_id=meeting)
        return replace(report, repaired=repaired, redis_lost=await read_loss(sources))


def _show(report: Report) -> None:
    out = console()
    counts = table("state", "jobs", numbers=["jobs"])
    for state, number in report.counts.items():
        counts.add_row(_coloured(state), f"{number:,}")
    out.print(counts)
    told = [job for job in report.jobs if job.state is not JobState.WAITING or report.meeting_id is not None]
    for job in sorted(told, key=lambda job: job.state is not JobState.MISSING)[:MOST_SHOWN]:
        # Two lines and no table: an id that is folded cannot be copied.
        out.print(Text.assemble("\n", _coloured(job.state), " ", readable(job.job_id)), soft_wrap=True)
        out.print(f"  {readable(job.reason)}", soft_wrap=True)
    if len(told) > MOST_SHOWN:
        out.print(f"\n… and {len(told) - MOST_SHOWN:,} more; --json has them all")
    if report.batches:
        out.print()
        out.print(_batches(report.batches[:MOST_SHOWN]))
    for sentence in report.not_examined:
        out.print(f"\nnot examined: {sentence}", soft_wrap=True)
    out.print(f"\n{verdict_on(report)}", soft_wrap=True)


def _batches(findings: Sequence[BatchFinding]) -> Table:
    shown = table("meeting", "expects", "batches missing", "of them dead", "on their way", numbers=["expects"])
    for each in findings:
        expected = "not said" if each.expected is None else str(each.expected)
        shown.add_row(str(each.meeting_id), expected, *map(_numbers, (each.missing, each.dead, each.on_the_way)))
    return shown


def _numbers(numbers: Sequence[int]) -> str:
    more = len(numbers) - MOST_NUMBERS
    return ", ".join(map(str, numbers[:MOST_NUMBERS])) + (f" and {more} more" if more > 0 else "") or "-"


def _coloured(state: JobState) -> Text:
    return Text(state.value, style=_COLOURS.get(state, ""))


def verdict_on(report: Report) -> str:
    """Whether anything is missing, in one line."""
    repaired = f"Enqueued again: {count(len(report.repaired), 'job')}. " if report.repaired else ""
    lost = f" {uncounted(report.redis_lost, report.examined_at)}." if report.redis_lost else ""
    if not report.has_gaps:
        known = "Nothing that PostgreSQL knows of is missing." if report.redis_lost else "Nothing is missing."
        return f"{repaired}{known}{lost}"
    missing, batches = report.counts[JobState.MISSING], sum(len(each.missing) for each in report.batches)
    cure = any(job.repairable for job in report.jobs)
    advice = " Say it again with --repair, or let a worker run: its relay does the same." if cure else ""
    what = " and ".join(
        count(number, *nouns)
        for number, nouns in ((missing, ("job",)), (batches, ("numbered batch", "numbered batches")))
        if number
    )
    return f"{repaired}Missing: {what}.{advice}{lost}"
