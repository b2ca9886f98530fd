"""The options that several commands share, and how their values are read."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated
from uuid import UUID

import typer

from noteflow.domain.checks import check_text
from noteflow.domain.errors import InvalidValue
from worker.cli.jobs.frame import refuse
from worker.inspection.choice import UNFINISHED, Choice, JobState
from worker.wording import shown


def sound_text(value: str | None) -> str | None:
    """The text of an option, refused where the servers could not keep it."""
    try:
        if value is not None:
            check_text("", value)
    except InvalidValue as refusal:
        raise typer.BadParameter(refusal.complaint) from None
    return value


def sound_ids(value: list[str] | str | None) -> list[str] | str | None:
    """The ids of jobs, each of which may be any bytes, as the system passes them on."""
    try:
        for job_id in [value] if isinstance(value, str) else value or ():
            job_id.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise typer.BadParameter("holds half a surrogate pair") from None
    return value


Ids = Annotated[
    list[str] | None,
    typer.Argument(metavar="[ID]…", help="The jobs; or name them by the options below.", callback=sound_ids),
]
Json = Annotated[bool, typer.Option("--json", help="JSON with stable names, for programs.")]
Kind = Annotated[str | None, typer.Option(help="Only jobs of this function.", callback=sound_text)]
Meeting = Annotated[UUID | None, typer.Option(help="Only jobs of this meeting.")]
Error = Annotated[
    str | None, typer.Option(help="Only jobs with this text in an error or a reason.", callback=sound_text)
]
Since = Annotated[
    str | None, typer.Option(help="Only what was due, parked, dead or done since: 15m, 2h, 3d, or ISO 8601.")
]
State = Annotated[list[JobState] | None, typer.Option(help="Only jobs in this state; may be repeated.")]
Limit = Annotated[int, typer.Option(min=1, max=100_000, help="At most so many.")]
Look = Annotated[int, typer.Option(min=1, max=10_000_000, help="Look at no more waiting jobs than this.")]
Reveal = Annotated[bool, typer.Option("--reveal", help="Show what people said. This is noted, with your name.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
Note = Annotated[str | None, typer.Option(help="Why; kept with the act.", callback=sound_text)]
As = Annotated[
    str | None, typer.Option("--as", help="Who acts; by default the user at this machine.", callback=sound_text)
]

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
    try:
        if ago := re.fullmatch(r"(\d+(?:\.\d+)?)\s*(s|m|min|h|d)", text.strip()):
            return datetime.now(UTC) - timedelta(seconds=float(ago[1]) * _UNITS[ago[2]])
        moment = datetime.fromisoformat(text.strip())
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except OverflowError:
        refuse(f"--since: {shown(text)} is before the first year or after the last")
    except ValueError:
        refuse(f"--since: {shown(text)} is neither a time like 15m, 2h, 3d nor ISO 8601")
