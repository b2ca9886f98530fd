"""Hold what was claimed a moment before there is a slot for it.

A claim takes a round trip, on a busy loop several turns of it, and meanwhile jobs end. Asked only for the slots that
are free by then, it would leave those empty that become free until it answers, and until the next one does. So it asks
for as many more as are going to end, judged by how many have ended within the last tenths of a second. Where jobs are
long that is none, and nothing is claimed ahead. A job for which it was judged wrong waits for `slot_patience_s`, then
goes back to its place, at no cost to it, for whoever has a slot; and for a second nothing more is claimed ahead.
"""

from __future__ import annotations

import math
import time
from collections import deque
from typing import TYPE_CHECKING, Final

from worker.engine.claims import GiveBack, Why

if TYPE_CHECKING:
    import asyncio

    from worker.engine.claims import Claim
    from worker.engine.worker import Worker

_LATELY_S: Final = 0.2
_MISJUDGED_S: Final = 1.0
_NEW_SHARE: Final = 0.2


class Line:
    """Be the jobs that wait for a slot of `worker`, first come first served, and judge how many may."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._waiting: deque[tuple[float, Claim]] = deque()
        self._per_s = 0.0
        self._ended_at = 0.0
        self._claiming_s = 0.0
        self._misjudged_at = -math.inf
        self._timer: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def room(self) -> int:
        """Return how many jobs to claim now; 0 while it is not worth a call."""
        free = self._worker.max_jobs - self._worker.job_counter
        ahead = self._ahead()
        room = free + ahead - len(self)
        return room if free > 0 or room > ahead / 2 else 0

    def _ahead(self) -> int:
        """Return how many jobs are going to end until the next claim has answered, and the one after it."""
        now = time.monotonic()
        if now < self._misjudged_at + _MISJUDGED_S or self._worker.options.slot_patience_s <= 0:
            return 0
        per_s = self._per_s * math.exp((self._ended_at - now) / _LATELY_S)
        return min(int(2 * per_s * self._claiming_s), self._worker.max_jobs)

    def note_end(self) -> None:
        """Take into account that a job has ended just now."""
        now = time.monotonic()
        self._per_s = self._per_s * math.exp((self._ended_at - now) / _LATELY_S) + 1 / _LATELY_S
        self._ended_at = now

    def note_claim(self, took_s: float) -> None:
        """Take into account how long a claim was on its way."""
        self._claiming_s += (took_s - self._claiming_s) * _NEW_SHARE

    def put(self, claim: Claim) -> None:
        """Let a claimed job wait."""
        claim.in_line, claim.holds_slot = True, False
        patience_s = self._worker.options.slot_patience_s
        self._waiting.append((time.monotonic() + patience_s, claim))
        if self._timer is None:
            self._timer = self._worker.loop.call_later(patience_s, self._lose_patience)

    def take(self) -> Claim | None:
        """Return the job whose turn it is; None if there is none, or nothing is to be started now."""
        if not self._waiting or not self._worker.allow_pick_jobs or not self._worker.options.gate.is_open:
            return None
        _, claim = self._waiting.popleft()
        claim.in_line, claim.holds_slot = False, True
        return claim

    def lose(self, claim: Claim) -> None:
        """Forget a job that is somebody else's now."""
        self._waiting = deque(each for each in self._waiting if each[1] is not claim)
        self._forgo(claim)

    def hand_back(self, why: Why, *, until: float = math.inf) -> None:
        """Send those back to their queues whose patience ends until then (monotonic); all, if nothing is said."""
        while self._waiting and self._waiting[0][0] <= until:
            _, claim = self._waiting.popleft()
            self._forgo(claim)
            self._worker.link.settle(GiveBack(claim, tries=claim.tries - 1, why=why))

    def _forgo(self, claim: Claim) -> None:
        claim.in_line = False
        self._worker.runs.forgo(claim)

    def _lose_patience(self) -> None:
        self._timer, now = None, time.monotonic()
        waited = len(self)
        self.hand_back(Why.NO_SLOT, until=now)
        if len(self) < waited:
            self._misjudged_at = now
            self._worker.wanted.set()  # they are due, and Redis does not call us for what we wrote ourselves
        if self._waiting:
            self._timer = self._worker.loop.call_later(self._waiting[0][0] - now, self._lose_patience)
