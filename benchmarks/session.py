"""All rounds: every system once, then every system again, so that a slow minute of the machine hits all alike."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from benchmarks.environments import EnvironmentFailed, interpreter
from benchmarks.figures import Figures
from benchmarks.fleet import BenchmarkFailed, Runnable
from benchmarks.ground import Ground
from benchmarks.ingest_suite import IngestSuite
from benchmarks.loops import Loop, loops
from benchmarks.plan import Plan
from benchmarks.queue_suite import QueueSuite
from benchmarks.systems import System

Advance = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Stop:
    """One thing to measure in every round, told by `advance` each time it goes on to something else."""

    name: str
    title: str
    steps: int
    visit: Callable[[Advance], None]


@dataclass(slots=True)
class Session:
    """What was measured, and what went wrong with whom."""

    figures: Figures = field(default_factory=Figures)
    troubles: list[str] = field(default_factory=list)
    doubled: dict[str, int] = field(default_factory=dict)


def installed(systems: Sequence[System], console: Console, session: Session) -> list[Runnable]:
    """Those systems that can be run here. The others are said and left out."""
    runnable = []
    for system in systems:
        try:
            with console.status(f"an environment for {system.title}"):
                runnable.append(Runnable(system, interpreter(system.requirements)))
        except EnvironmentFailed as error:
            _say(console, session, f"{system.title} is left out, it could not be installed: {error}")
    return runnable


def tour(
    suites: Sequence[str], ground: Ground, plan: Plan, runnable: Sequence[Runnable], session: Session
) -> list[Stop]:
    """Every stop of one round."""
    stops: list[Stop] = []
    if "queue" in suites:
        queue = QueueSuite(ground, plan, session.figures, session.doubled)
        stops += [_system_stop(queue, "queue", one) for one in runnable]
    if "ingest" in suites:
        ingest = IngestSuite(ground, plan, session.figures, session.doubled)
        stops += [_system_stop(ingest, "ingest", one) for one in runnable]
        stops += [_loop_stop(ingest, loop) for loop in loops()]
    return stops


def travel(stops: Sequence[Stop], rounds: int, console: Console, session: Session) -> None:
    """Make the tour `rounds` times. A stop that fails is said, and not visited again."""
    failed: set[Stop] = set()
    began = time.monotonic()
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, disable=not console.is_interactive, transient=True) as progress:
        bar = progress.add_task("", total=rounds * sum(stop.steps for stop in stops))
        for number in range(1, rounds + 1):
            for stop in stops:
                if stop in failed:
                    progress.advance(bar, stop.steps)
                    continue
                where = f"round {number} of {rounds}: {stop.title}"
                if not console.is_interactive:
                    console.print(f"{time.monotonic() - began:5.0f} s  {where}", highlight=False)

                def advance(what: str, where: str = where) -> None:
                    progress.update(bar, description=f"{where}, {what}", advance=1)

                try:
                    stop.visit(advance)
                except BenchmarkFailed as error:
                    failed.add(stop)
                    _say(console, session, f"{stop.title} is given up in round {number}: {error}")


def _system_stop(suite: QueueSuite | IngestSuite, name: str, runnable: Runnable) -> Stop:
    system = runnable.system
    return Stop(system.name, f"{name}, {system.title}", suite.steps(), lambda advance: suite.visit(runnable, advance))


def _loop_stop(suite: IngestSuite, loop: Loop) -> Stop:
    return Stop(loop.name, f"ingest, {loop.title}", suite.steps(), lambda advance: suite.visit_loop(loop, advance))


def _say(console: Console, session: Session, trouble: str) -> None:
    session.troubles.append(trouble)
    console.print(trouble, style="yellow", markup=False, highlight=False)


def titles(systems: Sequence[System]) -> Mapping[str, str]:
    """What everything measured is called in a table, in the order of its rows."""
    return {one.name: one.title for one in systems} | {one.name: one.title for one in loops()}
