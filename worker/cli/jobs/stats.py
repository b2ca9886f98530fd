"""`python -m worker jobs stats`."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import typer
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from worker.cli.jobs.frame import EXIT_AWAY, ask
from worker.cli.jobs.options import Json
from worker.cli.jobs.output import cell, emit, end, table, unreadable_lines
from worker.cli.terminal import console
from worker.inspection.blocking import Blocker
from worker.inspection.depths import QueueDepth
from worker.inspection.loss import RedisLoss
from worker.inspection.pauses import Pause
from worker.inspection.records import MeetingFreshness
from worker.inspection.set_back import description_of
from worker.inspection.stats import Stats, read_stats
from worker.inspection.words import at, count, span
from worker.printable import printable

NARROW: Final = 90


def stats(json: Json = False) -> None:
    """Everything on one page: queues, workers, rates, outbox, meetings."""
    found = ask(read_stats)
    if json:
        emit(found)
    else:
        screen = console(120)
        screen.print(page(found, screen.width))
    end(None, found.postgresql)
    if found.redis is not None:
        raise typer.Exit(EXIT_AWAY)


def page(found: Stats, width: int) -> RenderableType:
    """The page, also for `top`, in so many columns."""
    paused = _paused(found.pauses)
    queues = _queue_lines(found.queues, paused) if width < NARROW else _queues(found.queues, paused)
    lost = [Text(_lost(found.redis_lost, found.at), style="red")] if found.redis_lost else []
    if found.postgresql_lost:
        lost.append(
            Text(f"{description_of(found.postgresql_lost, found.at)} → python -m worker reconcile", style="red")
        )
    blocked = [Text(_blocked(each), style="red") for each in (found.blockers or [])[:1]]
    unreadable = unreadable_lines(found.unreadable)
    away = [Text(f"What only PostgreSQL knows is missing: {found.postgresql}", style="red")] if found.postgresql else []
    rest: list[RenderableType] = [] if found.postgresql and not found.pauses else [Text(""), _rest(found)]
    return Group(_workers(found), *lost, *blocked, *unreadable, *away, Text(""), queues, *rest)


def _workers(found: Stats) -> Text:
    fleet = found.workers
    line = Text(at(found.at), style="bold")
    line.append("   ")
    if found.redis is not None:
        line.append(f"{printable(found.redis)}: nothing runs, and which workers live cannot be known", style="red")
        return line.append("\n  → python -m worker check", style="cyan")
    ready = f"{fleet.ready} of {count(fleet.alive, 'worker')} ready" if fleet.alive else "no worker is alive"
    line.append(ready, style="green" if 0 < fleet.ready == fleet.alive else "red")
    # Not what the workers say: their records are as old as a beat, and the queues' claims are of this moment.
    silent = sum(depth.running_silent or 0 for depth in found.queues)
    running = min(sum(depth.running or 0 for depth in found.queues) - silent, fleet.slots)
    line.append(f"   {running} of {fleet.slots} slots in use")
    if silent:
        line.append(f"   {count(silent, 'job')} held by silent workers", style="red")
    if fleet.silent:
        line.append(f"   {fleet.silent} silent", style="red")
    for excuse in fleet.excuses:
        line.append(f"   {_excuse(cell(excuse))}", style="yellow")
    if fleet.gone and fleet.gone_s is not None:
        gone = f"{fleet.gone:,} gone without a word{', the last' if fleet.gone > 1 else ''} {span(fleet.gone_s)} ago"
        line.append(f"\n{gone} → python -m worker jobs workers", style="yellow")
    return line


def _excuse(said: str) -> str:
    """Why a worker held back at its last beat; Redis has just answered us, so it may be over."""
    return f"as a worker said with its last beat, {said}" if said.startswith("redis ") else said


def _lost(loss: RedisLoss, now: datetime | None) -> str:
    jobs = count(loss.jobs, "job")
    if loss.noticed_at is None:
        what = "was restarted, or is another" if loss.restarted else "was emptied"
        return (
            f"Redis {what}, and no worker has noticed yet: the next puts back what is missing of {jobs} of the outbox"
        )
    ago = span((now - loss.noticed_at).total_seconds()) if now else "some time"
    done = f": {jobs} of the outbox looked at again, {loss.left:,} still to be" if loss.jobs or loss.left else ""
    others = (
        "what was enqueued straight into it before is gone unless it kept that, and only its producers can repeat it"
    )
    return f"Redis was emptied, restarted or replaced {ago} ago{done}; {others}"


def _blocked(blocker: Blocker) -> str:
    return f"PostgreSQL: {printable(blocker.sentence)} → python -m worker check"


def _paused(pauses: list[Pause]) -> dict[str, str]:
    """Why each paused queue is paused, and by whom."""
    return {each.name: cell(f"paused: {_reason(each)}") for each in pauses if each.scope == "queue"}


def _reason(pause: Pause) -> str:
    return pause.reason + (f" (by {pause.actor})" if pause.actor else "")


def _queues(depths: list[QueueDepth], paused: dict[str, str]) -> Table:
    names = ("queue", "waiting", "due", "deferred", "running", "parked", "dead", "oldest due", "")
    made = table(*names, numbers=names[1:8])
    for depth in depths:
        running = f"{'~' if depth.running_is_estimate else ''}{_number(depth.running)}"
        made.add_row(
            printable(depth.queue),
            _number(depth.waiting),
            _number(depth.due),
            _number(depth.deferred),
            running,
            Text(_number(depth.parked), style="yellow" if depth.parked else ""),
            Text(_number(depth.dead), style="red" if depth.dead else ""),
            "–" if depth.oldest_due_s is None else span(depth.oldest_due_s),
            Text(paused.get(depth.queue, ""), style="yellow"),
        )
    return made


def _queue_lines(depths: list[QueueDepth], paused: dict[str, str]) -> Text:
    told = Text()
    for depth in depths:
        told.append(f"{printable(depth.queue)}\n", style="bold")
        oldest = "" if depth.oldest_due_s is None else f", the oldest for {span(depth.oldest_due_s)}"
        due, deferred = _number(depth.due), _number(depth.deferred)
        told.append(f"  waiting {_number(depth.waiting)}: due {due}{oldest}; deferred {deferred}\n")
        told.append(f"  running {_number(depth.running)}  parked {_number(depth.parked)}  dead {_number(depth.dead)}\n")
        if depth.queue in paused:
            told.append(f"  {paused[depth.queue]}\n", style="yellow")
    told.rstrip()
    return told


def _rest(found: Stats) -> Table:
    made = Table.grid(padding=(0, 2))
    for pause in found.pauses:
        if pause.scope == "kind":
            made.add_row("paused kind", Text(cell(f"{pause.name}: {_reason(pause)}"), style="yellow"))
    if shelved := sum(depth.shelved or 0 for depth in found.queues):
        set_aside = f"{count(shelved, 'job')} of a paused kind set aside, counted as deferred"
        made.add_row("", Text(set_aside, style="yellow"))
    if (rates := found.rates) is not None:
        made.add_row(f"last {rates.window_s} s", f"{rates.per_s:,.1f} jobs/s   {_counted(rates.by_kind)}")
        took = "" if rates.median_s is None or rates.slowest_s is None else (
            f"   median {span(rates.median_s)}, slowest {span(rates.slowest_s)} from enqueueing to commit"
        )  # fmt: skip
        if rates.by_outcome or rates.dead:
            outcomes = f"{_counted(rates.by_outcome)}   " if rates.by_outcome else ""
            made.add_row("", Text.assemble(outcomes, _dead(rates.dead), took))
    if found.parked_behind_dead:
        behind = f"{count(found.parked_behind_dead, 'job')} behind a dead letter → python -m worker jobs dead ls"
        made.add_row("parked", Text(behind, style="red"))
    if found.outbox_waiting is not None:
        made.add_row("outbox", f"{found.outbox_waiting:,} waiting   {found.outbox_dispatched or 0:,} in Redis")
    if (meetings := found.meetings) is not None:
        made.add_row("meetings", f"{count(meetings.looked_at, 'open meeting')} looked at")
        if meetings.freshest is not None:
            made.add_row("  freshest", _freshness(meetings.freshest))
        if meetings.stalest is not None and meetings.looked_at > 1:
            made.add_row("  stalest", _freshness(meetings.stalest))
    return made


def _number(known: int | None) -> str:
    return "?" if known is None else f"{known:,}"


def _counted(numbers: dict[str, int]) -> str:
    return (
        "   ".join(f"{printable(name)} {number:,}" for name, number in sorted(numbers.items())) or "nothing committed"
    )


def _dead(number: int) -> Text:
    return Text(f"dead {number:,}", style="red" if number else "")


def _freshness(meeting: MeetingFreshness) -> str:
    if meeting.last_commit_at is None:
        return f"{meeting.meeting_id}   no segments for {span(meeting.age_s)}   {meeting.state}"
    lag = "" if meeting.lag_s is None else f", which took {span(meeting.lag_s)}"
    return f"{meeting.meeting_id}   segments {span(meeting.age_s)} ago{lag}   {meeting.state}"
