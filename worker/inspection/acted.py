"""What came of an act."""

from __future__ import annotations

from dataclasses import dataclass

from worker.inspection.letters import Letter
from worker.inspection.pauses import Pause


@dataclass(frozen=True, slots=True)
class Acted:
    """What came of one verb for one job: whether it was done, and what that means, in a few words.

    Of a job that may run again `letter` is what it was replayed from as it died, `pause` what keeps it from running.
    """

    job_id: str
    done: bool
    what: str
    letter: Letter | None = None
    pause: Pause | None = None


@dataclass(frozen=True, slots=True)
class ActTold:
    """The same as programs are told it: `what` holds all that is to be said."""

    job_id: str
    done: bool
    what: str
