"""The options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from worker.cli.jobs.frame import refuse
from worker.inspection.choice import UNFINISHED, Choice, JobState

Json = Annotated[bool, typer.Option("--json", help="JSON with stable names, for programs.")]
Kind = Annotated[str | None, typer.Option(help="Only jobs of this function.")]
Meeting = Annotated[UUID | None, typer.Option(help="Only jobs of this meeting.")]
Error = Annotated[str | None, typer.Option(help="Only jobs with this text in an error or a reason.")]
Since = Annotated[
    str | None, typer.Option(help="Only what was due, parked, dead or done since: 15m, 2h, 3d, or ISO 8601.")
]
State = Annotated[list[JobState] | None, typer.Option(help="Only jobs in this state; may be repeated.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]
Look = Annotated[int, typer.Option(min=1, max=10_000_000, help="Look at no more waiting jobs than this.")]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show what people said. This is noted, with your name.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Note = Annotated[str | None, typer.Option(help="Why; kept with the act.")]
As = Annotated[str | None, typer.Option("--as", help="Who acts; by default the user at this machine.")]

_UNITS = {"s": 1, "m": 60, "min": 60, "h": 3_600, "d": 86_400}


def choice_of(
    states: list[JobState] | None,
    kind: str | None,
    meeting: UUID | None,
    error: str | None,
    since: str | None,
) -> Choice:
    """The jobs that the options mean; by default all that are not complete."""
    return Choice(frozenset(states) if states else UNFINISHED, kind, meeting, error, moment_of(since))


def moment_of(text: str | None) -> datetime | None:
    """A moment: so long ago, or as ISO 8601 (in UTC, unless it says otherwise). Ends the command with 2 for neither."""
    if text is None:
        return None
    if ago := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)", text.strip()):
        return datetime.now(UTC) - timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
    try:
        moment = datetime.fromisoformat(text.strip())
    except ValueError:
        refuse(f"--since: {text!r} is neither a time like 15m, 2h, 3d nor ISO 8601")
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
