"""The ways in which a claim ends, as the engine makes them of what a job returns or raises."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from tests.integration.engine.model.stage import LIVES_MS
from worker.engine.claims import Bury, Finish, GiveBack, Why
from worker.engine.verdicts import AttemptError, error_list

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.integration.engine.model.stage import Held
    from worker.engine.claims import Settlement

FINISH, RETRY, LATER, BUSY, GROWING, DRAIN, UNKNOWN, PAUSED, BURY = WAYS = (
    "finish", "retry", "retry later", "hand back", "hand back for longer", "drain", "unknown", "paused", "bury",
)  # fmt: skip

SOON_MS: Final = 177_000
LATE_MS: Final = 1_811_000
LONGEST_MS: Final = 598_000
GRACE_MS: Final = 234_000
CRON_STAYS_MS: Final = 123_000


def kind_for(held: Held, kind: str) -> str:
    """Return how it can end: a job without a body is only buried, or handed back by a drain."""
    return BURY if held.claim.body is None and kind != DRAIN else kind


def way_of(held: Held, kind: str, numbers: Iterator[int]) -> Callable[[], Settlement]:
    """Return what makes the ending, as often as it is to be said."""
    claim, tries = held.claim, held.claim.tries
    told = (AttemptError("ValueError", f"no {next(numbers)}", 1, tries, held.hands.name),)
    back = partial(GiveBack, claim)
    free = partial(back, tries=tries - 1)
    function = held.function
    made: dict[str, Callable[[], Settlement]] = {
        FINISH: partial(
            Finish,
            claim,
            result=f"result {next(numbers)}".encode(),
            life_ms=LIVES_MS[function],
            stay_ms=CRON_STAYS_MS if claim.job_id == "cron" else 0,
        ),
        RETRY: partial(back, tries=tries, errors=told),
        LATER: partial(back, tries=tries, delay_ms=LATE_MS, errors=told),
        BUSY: partial(free, delay_ms=SOON_MS, why="busy"),
        GROWING: partial(free, delay_ms=SOON_MS, errors=told, why="behind", longest_ms=LONGEST_MS),
        DRAIN: partial(free, why=Why.DRAIN),
        UNKNOWN: partial(free, delay_ms=SOON_MS, grace_ms=GRACE_MS, why=Why.UNKNOWN_FUNCTION),
        PAUSED: partial(free, delay_ms=1000, shelf=function, why=Why.PAUSED),
        BURY: partial(
            Bury,
            claim,
            function=function,
            reason=f"reason {next(numbers)}",
            errors=error_list(told),
            result=f"failure {next(numbers)}".encode(),
            life_ms=LIVES_MS[function],
        ),
    }
    return made[kind]
