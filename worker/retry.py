"""When a job is tried again within its claim, and how long it pauses first."""

from __future__ import annotations

import random
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TypeVar

from tenacity import AsyncRetrying, retry_if_exception

from noteflow.domain.errors import ConcurrencyConflict, MeetingNotFound, Refused, Unavailable
from worker.process_limits import is_process_limit

T = TypeVar("T")


class Failure(StrEnum):
    """What an attempt's error asks for."""

    CONFLICT = "conflict"
    UNAVAILABLE = "unavailable"
    REFUSED = "refused"
    BUG = "bug"


def failure_of(error: BaseException) -> Failure:
    """What an attempt's error asks for. What has no name of ours is a bug, unless the process ran into a limit."""
    match error:
        case ConcurrencyConflict():
            return Failure.CONFLICT
        case Unavailable():
            return Failure.UNAVAILABLE
        case Refused() | MeetingNotFound():
            return Failure.REFUSED
        case _:
            return Failure.UNAVAILABLE if is_process_limit(error) else Failure.BUG


@dataclass(slots=True)
class History:
    """The failures of one claim, in order."""

    failures: list[Failure] = field(default_factory=list)

    def count(self, failure: Failure) -> int:
        """How often it failed so."""
        return self.failures.count(failure)


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often each kind of failure is tried again.

    Conflicts: a few optimistic attempts, then under the row's lock. Outages: until the budget is spent. Bugs: a few.
    """

    optimistic_attempts: int = 2
    bug_attempts: int = 3
    budget_s: float = 20.0
    uniform: Callable[[float, float], float] = random.uniform

    def locks(self, history: History) -> bool:
        """Whether the next attempt takes the row's lock, because optimism has lost often enough."""
        return history.count(Failure.CONFLICT) >= self.optimistic_attempts

    def is_curable(self, error: BaseException) -> bool:
        """Whether another attempt may end otherwise."""
        return isinstance(error, Exception) and failure_of(error) in (
            Failure.CONFLICT,
            Failure.UNAVAILABLE,
            Failure.BUG,
        )

    def is_spent(self, history: History, elapsed_s: float) -> bool:
        """Whether the claim ends here, its last error standing."""
        return elapsed_s >= self.budget_s or history.count(Failure.BUG) >= self.bug_attempts

    def pause_s(self, history: History) -> float:
        """The pause before the next attempt, in seconds, with full jitter."""
        latest = history.failures[-1]
        if latest is Failure.CONFLICT:
            return self.uniform(0.005, 0.05)
        ceiling = min(2.0, 0.1 * 2 ** min(history.count(latest) - 1, 8))
        return self.uniform(0.01, ceiling)

    async def persist(
        self, attempt: Callable[[], Awaitable[T]], history: History, *, before_pause: Callable[[float], None]
    ) -> T:
        """What the first attempt that succeeds returns, or the error of the last one.

        `attempt` notes its failures in `history`. Hardly one fails, so the first is simply made; tenacity opens those
        that follow it, and is told of the first as of its own.
        """
        began_s = time.monotonic()
        try:
            return await attempt()
        except Exception as error:
            failed: Exception | None = error

        async def again() -> T:
            nonlocal failed
            if failed is not None:
                error, failed = failed, None
                raise error
            return await attempt()

        # Each claim needs its own: a shared `AsyncRetrying` counts for all its users.
        retrying = AsyncRetrying(
            retry=retry_if_exception(self.is_curable),
            stop=lambda _: self.is_spent(history, time.monotonic() - began_s),
            wait=lambda _: self.pause_s(history),
            before_sleep=lambda state: before_pause(state.upcoming_sleep),
            reraise=True,
        )
        return await retrying(again)
