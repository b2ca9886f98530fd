"""`python -m worker jobs meeting`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import pairwise
from typing import Annotated, Final
from uuid import UUID

import typer
from rich.table import Table
from rich.text import Text

from worker.cli.jobs.frame import ask
from worker.cli.jobs.ls import print_rows
from worker.cli.jobs.options import Json, Look
from worker.cli.jobs.output import emit, end, unreadable_lines
from worker.cli.terminal import console, echo
from worker.inspection.choice import JobState
from worker.inspection.listing import LOOK
from worker.inspection.loss import uncounted
from worker.inspection.meeting import Batches, MeetingView, read_meeting
from worker.inspection.words import at, count, span
from worker.printable import printable

SHOWN: Final = 20

MeetingIdArgument = Annotated[UUID, typer.Argument(metavar="ID", help="The meeting's id.")]


def meeting(meeting_id: MeetingIdArgument, look: Look = LOOK, json: Json = False) -> None:
    """A meeting: its states with times and jobs, its batches, its unfinished jobs, how far it is behind."""
    view = ask(lambda sources: read_meeting(sources, meeting_id, look=look))
    if json:
        emit(view)
    else:
        _show(view)
    end(view.redis, view.postgresql, nothing=view.state is None and not view.unfinished)


def _show(view: MeetingView) -> None:
    screen = console(140)
    if view.state is None:
        known = "is not stored" if view.postgresql is None else "cannot be read now"
        screen.print(Text(f"meeting {view.meeting_id} {known}", style="bold"))
    else:
        screen.print(Text(f"meeting {view.meeting_id} is {view.state}, version {view.version}", style="bold"))
        screen.print(_summary(view))
    if view.redis_lost is not None:
        screen.print(Text(f"\n{uncounted(view.redis_lost, datetime.now(UTC))}", style="red"), soft_wrap=True)
    if view.history:
        screen.print(Text("\nstates", style="bold cyan"))
        screen.print(_history(view), soft_wrap=True)
    if view.unfinished:
        counted = Counter(row.state.value for row in view.unfinished)
        told = ", ".join(f"{number:,} {name}" for name, number in counted.items())
        screen.print(Text.assemble(("\nunfinished jobs", "bold cyan"), f"   {told}"))
        troubled_first = sorted(view.unfinished, key=lambda row: row.state not in (JobState.DEAD, JobState.PARKED))
        print_rows(screen, troubled_first[:SHOWN])
        if len(view.unfinished) > SHOWN:
            echo(f"… and {len(view.unfinished) - SHOWN:,} more: python -m worker jobs ls --meeting {view.meeting_id}")
    for line in unreadable_lines(view.unreadable):
        screen.print(line, soft_wrap=True)
    if view.stopped is not None:
        echo(f"note: {view.stopped}", err=True)


def _summary(view: MeetingView) -> Table:
    made = Table.grid(padding=(0, 2))
    ended = f"   ended {at(view.ended_at)}" if view.ended_at else ""
    made.add_row("started", f"{at(view.started_at)}{ended}" if view.started_at else "not yet")
    if view.segments is not None:
        late = f", {view.late_segments:,} late" if view.late_segments else ""
        ends = "" if view.transcript_ends_s is None else f", to {span(view.transcript_ends_s)} into the meeting"
        made.add_row("transcript", f"{count(view.segments, 'segment')}{late}{ends}")
    if view.last_commit_at is not None:
        lag = "" if view.commit_lag_s is None else f", {span(view.commit_lag_s)} after they were enqueued"
        made.add_row("freshness", f"last segments committed at {at(view.last_commit_at)}{lag}")
    if view.behind_s is not None:
        ahead = view.behind_s < 0
        made.add_row("behind", f"{span(view.behind_s)} {'ahead of' if ahead else 'behind'} the meeting's own clock")
    if view.batches is not None:
        made.add_row("batches", _batches(view.batches))
    if view.jobs_done is not None:
        done = "   ".join(f"{name} {number:,}" for name, number in view.jobs_done.items())
        made.add_row("jobs done", done or "none")
    return made


def _batches(batches: Batches) -> Text:
    told = Text(f"{len(batches.applied)} applied")
    told.append(f" of {batches.expected} expected" if batches.expected is not None else ", no number expected yet")
    for name, style in (("incomplete", "yellow"), ("waiting", "cyan"), ("dead", "red"), ("missing", "red")):
        if numbers := getattr(batches, name):
            told.append(f"   {name}: {', '.join(_ranges(numbers))}", style=style)
    return told


def _history(view: MeetingView) -> Text:
    times = [view.created_at, *(move.at for move in view.history)]
    gaps = [(late - early).total_seconds() if early else 0.0 for early, late in pairwise(times) if late]
    lines = [f"{at(view.created_at)}  {view.history[0].from_state}"]
    for move, gap_s in zip(view.history, gaps, strict=True):
        job = "" if move.job_id is None else f"  by {printable(move.job_id)}"
        lines.append(f"{at(move.at)}  {move.to_state:<10} after {span(gap_s)}{job}")
    return Text("\n".join(lines))


def _ranges(numbers: Sequence[int]) -> Iterator[str]:
    """Numbers in order as a person writes them: 1–3, 7."""
    first = last = numbers[0]
    for number in [*numbers[1:], None]:
        if number == last + 1:
            last = number
            continue
        yield str(first) if first == last else f"{first}–{last}"
        if number is not None:
            first = last = number
