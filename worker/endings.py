"""How a claim of a job can end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from noteflow.domain.outcomes import AlreadyApplied, Applied, Superseded
from noteflow.domain.ports import Tally
from worker.engine.verdicts import AttemptError

LONGEST_HAND_BACK_S = 30.0


@dataclass(frozen=True, slots=True)
class Completed:
    """The job is done."""

    outcome: Applied | AlreadyApplied | Superseded

    def result(self) -> dict[str, Any]:
        """What Redis keeps as the job's result, in plain JSON values."""
        return {"outcome": self.outcome.name, "detail": _plain(self.outcome.detail)}


def _plain(detail: Tally | Mapping[str, Any]) -> dict[str, Any]:
    try:
        return asdict(detail) if isinstance(detail, Tally) else dict(detail)
    except Exception:  # the job is done, even if its result cannot be written
        return {}


@dataclass(frozen=True, slots=True)
class Parked:
    """The job waits in PostgreSQL for what must come first, and is enqueued again when that comes."""

    missing: str

    def result(self) -> dict[str, Any]:
        """What Redis keeps until then."""
        return {"outcome": "parked", "detail": {"missing": self.missing}}


@dataclass(frozen=True, slots=True)
class HandedBack:
    """The job goes back to the queue at no cost to it, for longer each time; `errors` are those of its attempts.

    `delay_s` is for how many seconds this time, as far as the delivery's number tells. Our engine knows better.
    """

    reason: str
    delay_s: float
    errors: tuple[AttemptError, ...] = ()


@dataclass(frozen=True, slots=True)
class Dead:
    """The job will not be tried again by itself; it is kept with its payload and these errors."""

    reason: str
    errors: tuple[AttemptError, ...]


Ending = Completed | Parked | HandedBack | Dead
