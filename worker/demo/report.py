"""The tables and the verdict, for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from noteflow.domain.value_objects import MeetingState
from worker.demo.account import Account, percentile
from worker.demo.verdict import Verdict
from worker.printable import printable

_MOST_NAMED = 10


def print_report(console: Console, accounts: Sequence[Account]) -> None:
    """One table a meeting, then the verdict over all of them."""
    for account in accounts:
        console.print(_table(account))
    console.print(_sources())
    console.print(_verdict(accounts))


def is_sound(accounts: Sequence[Account]) -> bool:
    """Whether nothing was lost, doubled, changed or out of order, and every job is done."""
    return all(account.verdict.sound and account.jobs_done == account.jobs for account in accounts)


def _table(account: Account) -> Table:
    verdict = account.verdict
    table = Table(
        title=Text(printable(account.title)), title_justify="left", show_header=False, box=box.ROUNDED, min_width=78
    )
    table.add_column(style="dim")
    table.add_column()
    table.add_row("segments", f"{account.in_file} in the file, {account.stored} stored, {len(verdict.lost)} lost")
    table.add_row("duplicates", _duplicates(account))
    table.add_row("states", _path(account))
    table.add_row("jobs", f"{account.jobs_done} of {account.jobs} done")
    table.add_row("latency", _latency(account.latencies_ms))
    table.add_row("throughput", f"{_rate(account.segments_per_s)} segments/s at the pace they were said")
    for name, faults in _faults(verdict):
        table.add_row(Text(name, "bold red"), Text(faults, "red"))
    return table


def _rate(per_s: float) -> str:
    return f"{per_s:,.0f}" if per_s >= 10 else f"{per_s:.2g}"


def _duplicates(account: Account) -> str:
    redone = account.said_again - account.known_to_queue
    return (
        f"{account.known_to_queue} segments said again to the queue, {redone} again to the database,"
        f" {len(account.verdict.doubled)} stored twice"
    )


def _path(account: Account) -> str:
    steps = [f"{MeetingState.CREATED} (1)"]
    steps += [f"{move.state} ({move.version})" for move in account.moves]
    return " → ".join(steps)


def _latency(latencies_ms: Sequence[float]) -> str:
    figures = ((name, percentile(latencies_ms, share)) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)))
    return ", ".join(f"{name} {_milliseconds(value)}" for name, value in figures)


def _milliseconds(value: float | None) -> str:
    return "none" if value is None else f"{value:,.0f} ms"


def _faults(verdict: Verdict) -> Iterator[tuple[str, str]]:
    if verdict.lost:
        yield "lost", _named(map(str, verdict.lost))
    if verdict.doubled:
        yield "doubled", _named(map(str, verdict.doubled))
    if verdict.changed:
        yield "changed", _named(f"{number} ({', '.join(names)})" for number, names in verdict.changed)
    if verdict.out_of_order:
        yield "out of order", _named(map(str, verdict.out_of_order))
    if verdict.states:
        yield "states", "; ".join(verdict.states)


def _named(what: Iterator[str]) -> str:
    named = list(what)
    more = f" and {len(named) - _MOST_NAMED} more" if len(named) > _MOST_NAMED else ""
    return ", ".join(named[:_MOST_NAMED]) + more


def _sources() -> Text:
    return Text(
        "Versions stand in brackets. Latency: from the producer's call to the job's entry in the ledger, the last"
        " statement before its COMMIT (job_ledger.committed_at, by the database's clock set against ours).",
        style="dim",
    )


def _verdict(accounts: Sequence[Account]) -> Text:
    verdicts = [account.verdict for account in accounts]
    unfinished = sum(account.jobs - account.jobs_done for account in accounts)
    counts = {
        "lost": sum(len(verdict.lost) for verdict in verdicts),
        "doubled": sum(len(verdict.doubled) for verdict in verdicts),
        "changed": sum(len(verdict.changed) for verdict in verdicts),
        "out of order": sum(len(verdict.out_of_order) + len(verdict.states) for verdict in verdicts),
    }
    figures = ", ".join(f"{name} {count}" for name, count in counts.items())
    if is_sound(accounts):
        stored = sum(account.stored for account in accounts)
        return Text(f"\nverdict: {figures}: all {stored} segments, word for word.", style="bold green")
    late = f", {unfinished} jobs not done" if unfinished else ""
    return Text(f"\nverdict: {figures}{late}.", style="bold red")
