"""`python -m worker jobs tail`."""

from __future__ import annotations

import asyncio
import signal
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.text import Text

from worker.cli.jobs.frame import ask
from worker.cli.jobs.options import Json, Since, moment_of
from worker.cli.jobs.output import COLOURS, cell, emit_line, note_absent
from worker.cli.terminal import console
from worker.inspection.endings import Endings, EndingTold
from worker.inspection.sources import Sources
from worker.inspection.words import span
from worker.printable import printable
from worker.streams import reader_is_gone

Every = Annotated[float, typer.Option(min=0.1, max=60.0, help="Seconds between two looks.")]
Looks = Annotated[int, typer.Option(min=0, help="End after so many looks; 0 is never.")]


def tail(since: Since = None, every: Every = 0.5, looks: Looks = 0, json: Json = False) -> None:
    """Endings as they happen, until Ctrl-C: applied, superseded, parked, dead. Not told: jobs handed back."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    start = moment_of(since)
    ask(lambda sources: _follow(sources, start, every, looks, json=json))


async def _follow(sources: Sources, since: datetime | None, every_s: float, looks: int, *, json: bool) -> None:
    screen = console(160)
    endings = Endings(sources, since or await _now(sources))
    done, told_away = 0, False
    while True:
        for ending in await endings.new():
            if json:
                emit_line(ending)
            else:
                screen.print(_line(ending), soft_wrap=True)
        if (sources.postgresql_problem is not None) != told_away:
            told_away = not told_away
            if told_away:
                note_absent(None, sources.postgresql_problem)
        done += 1
        if done == looks or reader_is_gone():
            return
        await asyncio.sleep(every_s)


async def _now(sources: Sources) -> datetime:
    """PostgreSQL's clock, by which its rows are dated; this machine's while it is away."""
    row = await sources.first("SELECT clock_timestamp() AS now")
    return row.now if row is not None else datetime.now(UTC)


def _line(ending: EndingTold) -> Text:
    line = Text(f"{ending.at:%H:%M:%S.%f}"[:12] + "  ")
    line.append(f"{cell(ending.outcome):<16}", style=COLOURS.get(ending.outcome, ""))
    line.append(printable(ending.job_id))
    if ending.took_s is not None:
        line.append(f"  {span(ending.took_s)}", style="dim")
    if ending.reason is not None:
        line.append(f"  {cell(ending.reason)}", style="yellow")
    return line
