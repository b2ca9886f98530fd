"""A reconciliation, as a person reads it."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.jobs.output import COLOURS, cell, table
from worker.cli.terminal import console
from worker.inspection.loss import uncounted
from worker.inspection.set_back import description_of
from worker.inspection.words import count
from worker.printable import printable
from worker.reconcile import BatchFinding, JobState, Report

MOST_SHOWN = 50
MOST_DEAD_SHOWN = 10
MOST_NUMBERS = 20
_COLOURS = {**COLOURS, JobState.MISSING: "bold red", JobState.DOUBLED: "yellow", JobState.WAITING: "cyan"}


def show(report: Report) -> None:
    """Print the counts, then the jobs that are not simply applied, then the verdict."""
    out = console()
    if report.meeting_known is not False:
        counts = table("state", "jobs", numbers=["jobs"])
        for state, number in report.counts.items():
            counts.add_row(_coloured(state), f"{number:,}")
        out.print(counts)
    _show_jobs(out, report)
    if report.batches:
        out.print()
        out.print(_batches(report.batches[:MOST_SHOWN]))
    for sentence in report.not_examined:
        out.print(f"\nnot examined: {printable(sentence)}", soft_wrap=True)
    out.print(f"\n{verdict_on(report)}", soft_wrap=True)


def _show_jobs(out: Console, report: Report) -> None:
    dead = [job for job in report.jobs if job.state is JobState.DEAD]
    others = [
        job
        for job in report.jobs
        if job.state is not JobState.DEAD and (job.state is not JobState.WAITING or report.meeting_id is not None)
    ]
    # What is wrong first. Of the dead the newest, and few: they are listed elsewhere, and what is wrong is to be seen.
    ranks = {JobState.MISSING: 0, JobState.DOUBLED: 1}
    others.sort(key=lambda job: ranks.get(job.state, 2))
    dead.sort(key=lambda job: (job.since is None, job.since), reverse=True)
    for some, most, where in (
        (others, MOST_SHOWN, "; --json has them all"),
        (dead, MOST_DEAD_SHOWN, f" → {_listing(report)}"),
    ):
        for job in some[:most]:
            # Two lines and no table: an id that is folded cannot be copied.
            out.print(Text.assemble("\n", _coloured(job.state), " ", printable(job.job_id)), soft_wrap=True)
            out.print(f"  {cell(job.reason)}", soft_wrap=True)
        if len(some) > most:
            out.print(f"\n… and {len(some) - most:,} more{where}", soft_wrap=True)


def _listing(report: Report) -> str:
    """The command that lists the dead that are meant."""
    of_meeting = f" --meeting {report.meeting_id}" if report.meeting_id else ""
    return f"python -m worker jobs dead ls{of_meeting}"


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
    if report.postgresql_lost:
        lost += f" {description_of(report.postgresql_lost, report.examined_at)}."
    if report.meeting_known is False:
        return f"Meeting {report.meeting_id} is not stored, and nobody has heard of a job that was asked for it.{lost}"
    if not report.has_gaps:
        known = "Nothing that PostgreSQL knows of is missing." if lost else "Nothing is missing."
        if report.has_unreadable:
            known = "Nothing that could be read is missing; what could not be read was not examined."
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
