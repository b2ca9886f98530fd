"""Say what travels between the parts of the engine: a claimed job, and the ways it may end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.engine.verdicts import AttemptError


class Cause(StrEnum):
    """Say why a running job is being cancelled."""

    TIMEOUT = "timeout"
    DRAIN = "drain"
    LOST = "lost"


class Why(StrEnum):
    """Say why the engine handed a job back at no cost to it; a job's own `HandBack` has reasons of its own."""

    DRAIN = "drain"
    PAUSED = "paused"
    UNKNOWN_FUNCTION = "unknown_function"
    NO_SLOT = "no_slot"
    PICKLE_REFUSED = "pickle_refused"


@dataclass(frozen=True, slots=True)
class TooLong:
    """Describe a body that was not fetched because of its length: its bytes, and how it begins."""

    size_bytes: int
    head: bytes


class Holds(IntEnum):
    """Say what a worker holds that claims: a job in quarantine is only for one that holds nothing."""

    NOTHING = 0
    JOBS = 1
    EMPTIED = 2
    """Nothing, since it was its turn to run a job in quarantine: it takes that first."""


@dataclass(slots=True)
class Claim:
    """Be one claimed job, from its claim to its ending.

    `key` is its id as Redis holds it, `job_id` the same as text, where bytes that are not UTF-8 survive as surrogates.
    `tries` counts this one, `crashes` its lapsed leases that count, if the last one has lapsed; `errors` are those of
    the attempts before it.
    `token` ends in when it was claimed (unix ms). `cause` is set by whoever cancels the run. `deadline_s` (monotonic)
    is when its lease is given up although the process lives. `in_line` until there is a slot for it.
    """

    key: bytes
    job_id: str
    queue: int
    score: int
    body: bytes | None
    tries: int
    crashes: int
    aborted: bool
    misshapen: bool
    token: str
    errors: tuple[AttemptError, ...] = ()
    too_long: TooLong | None = None
    deadline_s: float | None = None
    cause: Cause | None = None
    holds_slot: bool = True
    in_line: bool = False
    task: asyncio.Task[None] | None = None

    @property
    def since_s(self) -> float:
        """Return when it was claimed, in unix seconds."""
        return int(self.token.rpartition(":")[2]) / 1000

    @property
    def is_text(self) -> bool:
        """Tell whether the id is UTF-8, as it is for every honest producer."""
        return self.job_id.isascii() or not any("\ud800" <= character <= "\udfff" for character in self.job_id)


@dataclass(frozen=True, slots=True)
class Batch:
    """Be the answer to one claim: the jobs, when the next is due (unix ms), whether more may be due already.

    With `turn` the worker claims nothing more until it is empty, for a job that must run alone. `broken_queues` are
    those under whose key Redis holds something else.
    """

    claims: list[Claim]
    next_due_ms: float | None
    more: bool
    paused_functions: frozenset[str]
    now_ms: int
    turn: bool = False
    broken_queues: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Settlement:
    """Be one ending on its way to Redis; `settled` answers what `Status` it met."""

    claim: Claim
    settled: asyncio.Future[Status] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    status: Status | None = None

    @property
    def size(self) -> int:
        """Return roughly how many bytes it takes to send."""
        return 100

    def settle(self, status: Status) -> None:
        """Record the answer and wake whoever waits for it."""
        self.status = status
        if not self.settled.done():
            self.settled.set_result(status)

    async def wait(self) -> Status:
        """Return the answer; being cancelled meanwhile does not lose it, for the job has run."""
        while self.status is None:
            try:
                await self.settled
            except asyncio.CancelledError:
                self.settled = asyncio.get_running_loop().create_future()
        return self.status


class Status(StrEnum):
    """Say what Redis answered to a settlement."""

    DONE = "done"
    LOST = "lost"
    GRACE_OVER = "grace_over"
    UNSENT = "unsent"


@dataclass(slots=True, eq=False)
class Finish(Settlement):
    """End the job for good with `result` kept for `life_ms` (0 for ever, -1 not at all)."""

    result: bytes = b""
    life_ms: int = -1
    stay_ms: int = 0

    @property
    def size(self) -> int:
        """Return roughly how many bytes it takes to send."""
        return 100 + len(self.result)


@dataclass(slots=True, eq=False)
class GiveBack(Settlement):
    """Put the job back: at its old place, or after `delay_ms`; `tries` count from now on. `why` this one does not.

    With `longest_ms` the delay doubles each time for the same `why`, up to that. With `shelf`, a paused function, it
    waits at its old place until that is resumed.
    """

    tries: int = 0
    delay_ms: int | None = None
    errors: Sequence[AttemptError] = ()
    grace_ms: int | None = None
    shelf: str = ""
    why: str = ""
    longest_ms: int | None = None


@dataclass(slots=True, eq=False)
class Bury(Settlement):
    """Make the job a dead letter; `errors` is a JSON array of this run's `AttemptError`.

    With `crashes` it holds even if the job was claimed again since, if it has had so many: each claim ends it so.
    """

    function: str = ""
    reason: str = ""
    errors: bytes = b"[]"
    enqueued_ms: int | None = None
    result: bytes = b""
    life_ms: int = -1
    crashes: int | None = None

    @property
    def size(self) -> int:
        """Return roughly how many bytes it takes to send."""
        return 100 + len(self.result) + len(self.errors) + len(self.claim.body or b"")
