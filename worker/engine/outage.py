"""Say once that Redis is away, and once that it is back."""

from __future__ import annotations

import asyncio
import itertools
import random
import re
import threading
import time
from typing import Final

from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worker.engine.log import Log

logger = Log("worker.engine")

UNREACHABLE: Final = (RedisError, OSError, TimeoutError, asyncio.IncompleteReadError, EOFError)
"""What any call to Redis may raise that waiting can cure: also a full, read-only, loading or hung server."""


_PASSING: Final = (
    *("READONLY", "OOM", "LOADING", "MASTERDOWN", "MISCONF"),
    *("NOREPLICAS", "BUSY", "CLUSTERDOWN", "TRYAGAIN", "UNBLOCKED"),
)

_IN_SCRIPT: Final = re.compile(r"Error running script .*@user_script: \d+: -?(\w+)")
"""How Redis 6 tells what refused a command of a script; newer ones give the code of that itself."""

_REFUSALS_TOLD: Final = 100

_IN_VAIN: Final = (TimeoutError, RedisTimeoutError)


def is_outage(error: BaseException) -> bool:
    """Tell whether the server as a whole is away, rather than one command refused (a wrong type, a missing right)."""
    if isinstance(error, ReadOnlyError | OutOfMemoryError):
        return True
    if not isinstance(error, ResponseError):
        return True
    in_script = _IN_SCRIPT.search(str(error))
    return (in_script[1] if in_script else str(error)).startswith(_PASSING)


def in_words(error: BaseException) -> str:
    """Return what an error of Redis is and says, in one short line."""
    return f"{type(error).__name__}: {error}"[:300]


def leads_elsewhere(error: BaseException) -> bool:
    """Tell whether a new connection may find another server: this one is lost, or follows another by now."""
    if isinstance(error, ReadOnlyError) or not isinstance(error, ResponseError):
        return True
    return str(error).startswith("MASTERDOWN") or "READONLY" in str(error)  # as Redis 6 quotes what a script met


class Outage:
    """Remember whether Redis answers, for the health record and so that an outage makes two log lines, not thousands.

    Everybody who talks to Redis reports here, from the loop and from the thread of the leases; it counts as back with
    the first answer to a write. News may be late: an error can be on its way while another call is answered already,
    and a blocked loop reads an answer from before the outage. So each call is numbered when it begins, and what is
    heard of it is compared with what was heard since. Who waited in vain has heard nothing, and is believed.
    """

    def __init__(self) -> None:
        self.since: float | None = None
        self.last_error = ""
        self.count = 0
        self.full = False
        self.lasted_s = 0.0
        self._refusals: set[str] = set()
        self._numbers = itertools.count(1)
        self._answered_at = 0
        self._away_at = 0
        self._telling = threading.Lock()

    @property
    def lasts(self) -> bool:
        """Tell whether the last thing heard from Redis was an error."""
        return self.since is not None

    def begin(self) -> int:
        """Return the number of a call that is about to be made, for the report of what became of it."""
        return next(self._numbers)

    def failed(self, error: BaseException, call: int) -> None:
        """Report an error of the connection or the server."""
        if not is_outage(error):
            self.refused(error)
            return
        told = self.last_error = in_words(error)
        with self._telling:
            if self.since is not None:
                return
            if call < self._answered_at and not isinstance(error, _IN_VAIN):
                logger.info("a call to redis failed while another was answered: %s", told)
                return
            self.since, self._away_at = time.monotonic(), next(self._numbers)
            self.count += 1
            logger.warning("redis is away, holding on to results and waiting: %s", told)

    def refused(self, error: BaseException) -> None:
        """Report that the server, which is not away, refused a command; each refusal is told once in an outage."""
        told = self.last_error = in_words(error)
        if told not in self._refusals and len(self._refusals) < _REFUSALS_TOLD:
            self._refusals.add(told)
            logger.error("redis refuses a command: %s", told)

    def answered(self, call: int) -> None:
        """Report that a write succeeded."""
        with self._telling:
            if self.since is not None and call < self._away_at:
                return
            self._answered_at = next(self._numbers)
            if self.since is None:
                return
            self.lasted_s = time.monotonic() - self.since
            self.since = None
            self._refusals.clear()
            logger.warning("redis is back after %.1fs", self.lasted_s)

    def measured(self, used_bytes: int, most_bytes: int) -> None:
        """Report how full the server is; the engine works on, but producers cannot enqueue on a full one."""
        full = 0 < most_bytes <= used_bytes
        if full and not self.full:
            logger.warning("redis is out of memory: %d of %d bytes; nothing can be enqueued", used_bytes, most_bytes)
        elif self.full and not full:
            logger.warning("redis has room again: %d of %d bytes", used_bytes, most_bytes)
        self.full = full


class Backoff:
    """Give the pauses between attempts to reach Redis: short, doubling, with jitter, never above `most_s`."""

    def __init__(self, first_s: float = 0.05, most_s: float = 0.5) -> None:
        self._first_s = first_s
        self._most_s = most_s
        self._next_s = first_s

    def reset(self) -> None:
        """Begin anew after a success."""
        self._next_s = self._first_s

    def next_s(self) -> float:
        """Return the next pause in seconds."""
        pause = self._next_s
        self._next_s = min(self._next_s * 2, self._most_s)
        return pause * random.uniform(0.5, 1.0)  # noqa: S311 - jitter, not a secret
