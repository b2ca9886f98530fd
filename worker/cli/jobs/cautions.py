"""What is said to whoever has jobs run again, by `retry` or `dead replay`: that it alone may not help, or not yet."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from worker.inspection.acted import Acted
from worker.inspection.letters import Letter
from worker.inspection.pauses import Pause
from worker.inspection.why_ended import NEWER, remedy
from worker.inspection.words import count
from worker.printable import printable


def cautioned(acted: Acted) -> str:
    """What came of one job, with all that is to be said of it."""
    told = [acted.what]
    if acted.pause is not None:
        told.append(f"but its {_kept('it', acted.pause)}")
    if acted.done and acted.letter is not None and (caution := _dies_again(acted.letter)):
        told.append(caution)
    return "; ".join(told)


def cautions_on_all(acted: Sequence[Acted], *, refused: bool = True) -> list[str]:
    """The same of many, each said once; without those that were `refused`, if that was said before."""
    done = [each for each in acted if each.done]
    again = caution_on_refused(each.letter.reason for each in done if each.letter) if refused else None
    kept = Counter(each.pause for each in done if each.pause)
    paused = [
        f"{count(jobs, 'of them waits', 'of them wait')}: the {_kept('them', pause)}" for pause, jobs in kept.items()
    ]
    return [*([again] if again else []), *paused]


def caution_on_refused(reasons: Iterable[str | None]) -> str | None:
    """That replaying many letters may not help, as far as their reasons tell; None if none was refused."""
    refused = sum(reason.startswith("refused: ") and not NEWER.search(reason) for reason in reasons if reason)
    if not refused:
        return None
    which = f"{count(refused, 'of them was', 'of them were')} refused, and a replay helps only if its payload"
    return f"{which}, or what it contradicts, is mended first → python -m worker jobs why ID"


def _dies_again(letter: Letter) -> str | None:
    """Why the job may die again if it is replayed as it is, and how to see whether it did; None if nothing says so."""
    if NEWER.search(letter.reason):
        return None  # the workers may be newer than this command is, and who replays says that they are
    hopeless, command = remedy(letter)
    if command == "replay":
        return None
    return f"{hopeless.removeprefix('; ')} → python -m worker jobs why {printable(letter.job_id)}"


def _kept(whom: str, pause: Pause) -> str:
    end = f"python -m worker {printable(pause.command)}"
    return f"{pause.scope} {printable(pause.name)} is paused, and no worker begins {whom} before: {end}"
