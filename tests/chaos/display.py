"""A chaos run for people: the plan, a bar while it runs, and a table at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

if TYPE_CHECKING:
    from rich.console import Console

    from tests.chaos.plan import Plan
    from tests.chaos.run import Report

MOST_CRIMES_SHOWN = 5


class Display:
    """Says faults as they happen, above two bars that show how far producers and workers are."""

    def __init__(self, console: Console, commands: int) -> None:
        self._console = console
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=console,
            disable=not console.is_interactive,
        )
        self._acknowledged = self._progress.add_task("commands acknowledged", total=commands)
        self._ended = self._progress.add_task("jobs ended", total=commands)

    def tell(self, sentence: str) -> None:
        """A fault happened."""
        self._console.print(f"[dim]·[/] {escape(sentence)}", highlight=False, soft_wrap=True)

    def advance(self, acknowledged: int, ended: int) -> None:
        """Move the bars."""
        self._progress.update(self._acknowledged, completed=acknowledged)
        self._progress.update(self._ended, completed=ended)

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def show_plan(console: Console, plan: Plan) -> None:
    """Print what is going to happen, and how to have it again."""
    console.print(f"[bold]Chaos, seed {plan.seed}, {plan.seconds:g} s, {len(plan.faults)} faults")
    console.print(f'again with: make chaos ARGS="{plan.arguments}"', highlight=False, soft_wrap=True)
    for fault in plan.faults:
        console.print(f"[dim]  {fault}", highlight=False, soft_wrap=True)


def show_report(console: Console, report: Report) -> None:
    """Print the verdict and the figures, and some of each crime."""
    verdict, figures = report.verdict, report.figures
    table = Table(title=f"{verdict.jobs} acknowledged jobs", title_justify="left", show_header=False)
    for kind, crimes in verdict.crimes.items():
        table.add_row(kind, f"[{'red' if crimes else 'green'}]{len(crimes)}")
    table.add_section()
    table.add_row("worker processes", str(figures.workers))
    table.add_row("workers that ended by themselves", str(report.own_exits))
    table.add_row("runs of jobs", f"{figures.runs}, of them again: {figures.reruns}")
    table.add_row("ended by a zombie, without effect", str(figures.zombies))
    table.add_row("rescued from dead workers", figures.rescue)
    table.add_row("enqueues said again", str(report.repeated_enqueues))
    table.add_row("dead letters", f"[{'red' if report.dead_letters else 'green'}]{len(report.dead_letters)}")
    table.add_row("faults that met nobody", str(report.missed_faults))
    table.add_row("until the queue was empty", f"{report.peace_s:.1f} s")
    console.print(table)
    for letter in report.dead_letters:
        console.print(f"[red]dead letter[/] {escape(str(letter))}", highlight=False, soft_wrap=True)
    for kind, crimes in verdict.crimes.items():
        for sentence in crimes[:MOST_CRIMES_SHOWN]:
            console.print(f"[red]{kind}[/] {escape(sentence)}", highlight=False, soft_wrap=True)
