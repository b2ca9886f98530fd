"""`python -m worker jobs workers`."""

from __future__ import annotations

from typing import Final

import typer
from rich.table import Table
from rich.text import Text

from worker.cli.jobs.frame import EXIT_AWAY, EXIT_NOTHING, ask
from worker.cli.jobs.options import Json
from worker.cli.jobs.output import cell, emit, table, unreadable_lines
from worker.cli.terminal import console, echo
from worker.inspection.fleet import Fleet, WorkerRecord, read_fleet
from worker.inspection.sources import Sources
from worker.inspection.words import span
from worker.printable import printable

WIDE: Final = 120
SHOWN: Final = 20


def workers(json: Json = False) -> None:
    """Every worker: id, host, pid, version, last beat, what it runs, last progress. Ends with 1 if none is alive.

    With 3 if Redis takes no writes, so that nobody can know.
    """
    fleet = ask(_fleet)
    if json:
        emit(fleet)
    else:
        _show(fleet)
    if fleet.redis is not None:
        echo(f"jobs: {fleet.redis}, so no beat reaches it: which workers live cannot be known", err=True)
        echo("  → python -m worker check", err=True)
        raise typer.Exit(EXIT_AWAY)
    if not fleet.alive:
        raise typer.Exit(EXIT_NOTHING)


async def _fleet(sources: Sources) -> Fleet:
    return await read_fleet(sources, await sources.now_ms())


def _show(fleet: Fleet) -> None:
    screen = console()
    if screen.width < WIDE:
        for worker in fleet.workers:
            screen.print(_lines(worker))
    elif fleet.workers:
        screen.print(_table(fleet.workers))
    for line in unreadable_lines(fleet.unreadable):
        screen.print(line, soft_wrap=True)
    if not fleet.workers and not fleet.unreadable:
        echo("no worker has a record")
    if fleet.gone:
        named = ", ".join(map(printable, fleet.gone[:SHOWN]))
        more = f" and {len(fleet.gone) - SHOWN} more" if len(fleet.gone) > SHOWN else ""
        echo(f"heard of within the hour, and gone without a word: {named}{more}")


def _lines(worker: WorkerRecord) -> Text:
    told = (
        f"\n  pid {worker.pid}, version {cell(worker.version)}, last beat {span(worker.beat_age_s)} ago, "
        f"{_running(worker)} running, {worker.complete:,} done, {worker.failed:,} failed, "
        f"last progress {_progress(worker)}"
    )
    return Text.assemble((printable(worker.id), "bold"), "  ", _state(worker), told)


def _table(workers: list[WorkerRecord]) -> Table:
    names = ("worker", "pid", "version", "last beat", "running", "done", "failed", "last progress", "state")
    made = table(*names, numbers=("pid", "running", "done", "failed"))
    for worker in workers:
        made.add_row(
            printable(worker.id),
            str(worker.pid),
            cell(worker.version),
            f"{span(worker.beat_age_s)} ago",
            _running(worker),
            f"{worker.complete:,}",
            f"{worker.failed:,}",
            _progress(worker),
            _state(worker),
        )
    return made


def _running(worker: WorkerRecord) -> str:
    slots = f"{worker.running} of {worker.max_jobs}"
    if worker.running_since is None or worker.last_beat_at is None:
        return slots
    before_beat_s = max(0.0, (worker.last_beat_at - worker.running_since).total_seconds())
    return f"{slots}, oldest {span(worker.beat_age_s + before_beat_s)}"


def _progress(worker: WorkerRecord) -> str:
    if worker.last_progress_at is None or worker.last_beat_at is None:
        return "none yet"
    before_beat_s = (worker.last_beat_at - worker.last_progress_at).total_seconds()
    return f"{span(worker.beat_age_s + before_beat_s)} ago"


def _state(worker: WorkerRecord) -> Text:
    if worker.silent:
        return Text("silent", style="red")
    if worker.ready:
        return Text("ready", style="green")
    return Text("; ".join(map(cell, worker.excuses)), style="yellow")
