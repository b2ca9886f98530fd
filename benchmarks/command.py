"""The command line: which suites, how many rounds, and what comes of it."""

from __future__ import annotations

import signal
from dataclasses import replace
from enum import StrEnum
from typing import Annotated, Any

import typer
from rich.console import Console

from benchmarks import ingest_suite, queue_suite
from benchmarks.ground import POSTGRES_SETTINGS, REDIS_SETTINGS, Ground, ground
from benchmarks.machine import machine, own_versions
from benchmarks.plan import Plan, default_plan, quick_plan
from benchmarks.record import record, write
from benchmarks.report import show, show_notes
from benchmarks.session import Session, installed, titles, tour, travel
from benchmarks.systems import systems


class Suite(StrEnum):
    """What can be measured by itself."""

    QUEUE = "queue"
    INGEST = "ingest"


def main() -> None:
    """`python -m benchmarks …`."""
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))
    typer.run(benchmark)


def benchmark(
    quick: Annotated[bool, typer.Option("--quick", help="A minute or two, to see that it works.")] = False,
    only: Annotated[Suite | None, typer.Option(help="One suite instead of both.")] = None,
    rounds: Annotated[int | None, typer.Option(min=1, help="How often every system is measured.")] = None,
    system: Annotated[list[str] | None, typer.Option(help="Only these; may be said several times.")] = None,
) -> None:
    """Measure the worker beside its peers, on servers of our own. The results are printed and kept as JSON.

    Stopped by Ctrl-C, it shows what it has. It ends with 1 if anything could not be measured.
    """
    console = Console()
    plan = quick_plan() if quick else default_plan()
    plan = replace(plan, rounds=rounds or plan.rounds)
    known = systems()
    if unknown := set(system or ()) - {one.name for one in known}:
        raise typer.BadParameter(f"{', '.join(sorted(unknown))}: not among {', '.join(one.name for one in known)}")
    chosen = [one for one in known if system is None or one.name in system]
    session = Session()
    runnable = installed(chosen, console, session)
    before = machine()
    with ground(with_database=only is not Suite.QUEUE) as place:
        stops = tour([only] if only else list(Suite), place, plan, runnable, session)
        try:
            travel(stops, plan.rounds, console, session)
        except KeyboardInterrupt:
            session.troubles.append("stopped before the end")
        notes = _notes(before, place, plan, session)
    peers = [one.name for one in chosen if not one.is_ours]
    measures = (*queue_suite.measures(), *ingest_suite.measures())
    show(console, session.figures, measures, titles(chosen), peers)
    show_notes(console, notes)
    console.print(f"written to {write(record(session.figures, peers, notes))}", highlight=False, soft_wrap=True)
    if session.troubles:
        raise typer.Exit(1)


def _notes(before: dict[str, Any], place: Ground, plan: Plan, session: Session) -> dict[str, Any]:
    return {
        "machine": before | {"load_1_min_after": machine()["load_1_min"]},
        "servers": place.description,
        "redis_settings": {"appendonly": "yes", **REDIS_SETTINGS},
        "postgres_settings": {"fsync": "on", **POSTGRES_SETTINGS},
        "versions": own_versions(),
        **{f"versions of {one.title}": one.versions for one in systems() if one.versions and not one.tuned},
        "plan": {name: getattr(plan, name) for name in Plan.__dataclass_fields__},
        "alike": f"uvloop, no logging, results kept; {plan.max_jobs} jobs at once a process, {plan.nap_jobs} where "
        f"they take 50 ms, {plan.ingest_jobs} and as many connections where they ingest; but stock arq has its own 10",
        "doubled": session.doubled,
        "troubles": session.troubles,
    }
