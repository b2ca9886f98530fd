"""`python -m worker jobs top`."""

from __future__ import annotations

import asyncio
import signal
from contextlib import nullcontext
from typing import Annotated

import typer
from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from worker.cli.jobs.frame import ask
from worker.cli.jobs.options import Json
from worker.cli.jobs.output import emit_line
from worker.cli.jobs.stats import page
from worker.cli.terminal import console
from worker.inspection.sources import RedisAway, Sources
from worker.inspection.stats import Stats, read_stats
from worker.streams import reader_is_gone

Every = Annotated[float, typer.Option(min=0.2, max=3600.0, help="Seconds between two looks.")]
Frames = Annotated[int, typer.Option(min=0, help="End after so many looks; 0 is never.")]


def top(every: Every = 1.0, frames: Frames = 0, json: Json = False) -> None:
    """The page of `stats`, live, until Ctrl-C. In a pipe one page follows the other; --json writes one a line."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    ask(lambda sources: _watch(sources, every, frames, json=json))


async def _watch(sources: Sources, every_s: float, frames: int, *, json: bool) -> None:
    screen = console(120)
    live = Live(console=screen, auto_refresh=False, screen=screen.is_terminal)
    shown = 0
    with live if screen.is_terminal and not json else nullcontext():
        while True:
            found = await _look(sources)
            if json:
                if isinstance(found, Stats):
                    emit_line(found)
            elif screen.is_terminal:
                live.update(_frame(found, screen.width), refresh=True)
            else:
                screen.print(_frame(found, screen.width), "")
            shown += 1
            if shown == frames or reader_is_gone():
                return
            await asyncio.sleep(every_s)


async def _look(sources: Sources) -> Stats | str:
    sources.ask_anew()
    try:
        return await read_stats(sources)
    except RedisAway as error:
        return str(error)


def _frame(found: Stats | str, width: int) -> RenderableType:
    if isinstance(found, str):
        return Text(found, style="red")
    if found.postgresql is not None:
        return Group(page(found, width), Text(f"PostgreSQL is away: {found.postgresql}", style="red"))
    return page(found, width)
