"""What a replay of dead letters is told with: that another try alone may not help."""

from __future__ import annotations

from collections.abc import Iterable

from worker.cli.jobs.output import readable
from worker.inspection.letters import Letter
from worker.inspection.why_ended import NEWER, remedy
from worker.inspection.words import count


def caution_on(letter: Letter) -> str | None:
    """Why the job may die again if it is replayed as it is, and how to see whether it did; None if nothing says so."""
    if NEWER.search(letter.reason):
        return None  # the workers may be newer than this command is, and who replays says that they are
    hopeless, command = remedy(letter)
    if command == "replay":
        return None
    return f"{hopeless.removeprefix('; ')} → python -m worker jobs why {readable(letter.job_id)}"


def caution_on_all(reasons: Iterable[str | None]) -> str | None:
    """The same of many letters, in one sentence, as far as their reasons tell; None if none was refused."""
    refused = sum(reason.startswith("refused: ") and not NEWER.search(reason) for reason in reasons if reason)
    if not refused:
        return None
    which = f"{count(refused, 'of them was', 'of them were')} refused, and a replay helps only if its payload"
    return f"{which}, or what it contradicts, is mended first → python -m worker jobs why ID"
