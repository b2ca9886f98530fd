"""Keep the leases of running jobs from a thread, so that a job that blocks the event loop does not lose its own.

The thread has a connection of its own and shares three things with the loop: a dictionary of claims (each operation on
it is atomic), their deadlines, and `call_soon_threadsafe`. It renews every third of a lease. A claim past its
deadline is no longer renewed: its job has ignored its timeout, and somebody else may have it.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from redis.exceptions import ResponseError

from worker.engine.gate import Gate
from worker.engine.log import Log
from worker.engine.outage import UNREACHABLE, Backoff, Outage, is_outage
from worker.engine.scripts import call_script
from worker.engine.supervision import Failures

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from worker.engine.claims import Claim

logger = Log("worker.engine")

_CHUNK = 500


def _elapsed_s() -> float:
    """Return a time that also passes while the host sleeps, where there is one."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic()


class LeaseKeeper:
    """Renew what is held until it is dropped; tell `lost` (in the loop) which claims are somebody else's now.

    `beat` is called from the thread with the client every `beat_s`, to write the worker's record. `gate` is where a
    failure of the renewal or of the record is reported, unless Redis is the reason.
    """

    def __init__(
        self,
        connect: Callable[[], Any],
        queues: Sequence[str],
        *,
        lease_s: float,
        lost: Callable[[Claim], None],
        outage: Outage,
        beat: Callable[[Any], None] | None = None,
        beat_s: float = 10.0,
        gate: Gate | None = None,
    ) -> None:
        self._connect = connect
        self._queues = tuple(queues)
        self._lease_s = lease_s
        self._lost = lost
        self._outage = outage
        self._beat = beat
        self._beat_s = beat_s
        gate = gate or Gate()
        self._failures = Failures("lease renewal", gate)
        self._beat_failures = Failures("heartbeat", gate)
        self._next_beat = 0.0
        self._held: dict[int, Claim] = {}
        self._wake = threading.Event()
        self._stopping = False
        self._rounds = 0
        self._renewed_at = _elapsed_s()
        self._thread: threading.Thread | None = None

    @property
    def held(self) -> list[Claim]:
        """Return the claims whose leases are being renewed."""
        return list(self._held.values())

    @property
    def rounds(self) -> int:
        """Count the renewals that succeeded."""
        return self._rounds

    @property
    def overdue(self) -> bool:
        """Tell whether leases may have run out that are still held: nobody could renew them, for it all stood still.

        The process was stopped, or its host asleep, or one call kept the interpreter from every other thread. Or the
        server may be one that knows of an earlier time.
        """
        return bool(self._held) and self._thread is not None and _elapsed_s() - self._renewed_at > self._lease_s * 0.8

    def hold(self, claim: Claim) -> None:
        """Renew the lease of `claim` from now on."""
        self._held[id(claim)] = claim

    def drop(self, claim: Claim) -> None:
        """Renew it no more."""
        self._held.pop(id(claim), None)

    def start(self) -> None:
        """Start the thread, unless it runs."""
        if self._thread is None:
            self._stopping = False
            self._renewed_at = _elapsed_s()
            self._thread = threading.Thread(target=self._run, name="leases", daemon=True)
            self._thread.start()

    def renew_soon(self) -> None:
        """Renew now rather than when the next third is over."""
        self._wake.set()

    def doubt(self) -> None:
        """Take leases for overdue until they are renewed: another server may answer, and to it they may be over."""
        self._renewed_at = -math.inf

    def beat_soon(self) -> None:
        """Write the worker's record now rather than with the next beat: what it says has changed."""
        self._next_beat = 0.0
        self._wake.set()

    def beat_next(self) -> None:
        """Write the worker's record with the next renewal. Takes no lock, so a signal handler may call it."""
        self._next_beat = 0.0

    def stop(self, within_s: float = 1.0) -> None:
        """End the thread; a call that hangs is left behind."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(within_s)
            self._thread = None

    def _run(self) -> None:
        """Renew until stopped. Whatever ends that begins it anew: without it every job here would be lost."""
        backoff = Backoff()
        while not self._stopping:
            try:
                self._keep_renewing()
            except BaseException as error:  # also SystemExit, which would end the thread and nothing else
                self._failures.ended(error)
                self._wake.wait(backoff.next_s())
                self._wake.clear()

    def _keep_renewing(self) -> None:
        client = self._connect()
        backoff = Backoff()
        pause_s = self._pause_s()
        try:
            while True:
                self._wake.wait(pause_s)
                self._wake.clear()
                if self._stopping:
                    return
                call = self._outage.begin()
                try:
                    self._round(client, call)
                except UNREACHABLE as error:
                    self._outage.failed(error, call)
                    client.connection_pool.disconnect()
                    pause_s = backoff.next_s()
                else:
                    self._failures.recovered()
                    backoff.reset()
                    pause_s = self._pause_s()
        finally:
            with suppress(Exception):
                client.close()
                client.connection_pool.disconnect()

    def _pause_s(self) -> float:
        return min(self._lease_s / 3, self._beat_s) if self._beat else self._lease_s / 3

    def _round(self, client: Any, call: int) -> None:
        now, began = time.monotonic(), _elapsed_s()
        claims = []
        for claim in list(self._held.values()):
            if claim.deadline_s is not None and now > claim.deadline_s:
                self._held.pop(id(claim), None)
                logger.error("%s runs past its timeout and does not stop: its lease is given up", claim.job_id)
            else:
                claims.append(claim)
        for start in range(0, len(claims), _CHUNK):
            self._renew(client, claims[start : start + _CHUNK])
        self._renewed_at = began
        if self._beat_if_due(client, now) or claims:
            self._outage.answered(call)
        self._rounds += 1

    def _beat_if_due(self, client: Any, now: float) -> bool:
        """Write the worker's record, if it is time; tell whether the server has taken it."""
        if self._beat is None or not (now >= self._next_beat or self._outage.lasts):
            return False
        self._next_beat = now + self._beat_s * 0.9  # before: who calls for one meanwhile wants another
        try:
            self._beat(client)
        except UNREACHABLE as error:
            if isinstance(error, ResponseError) and not is_outage(error):
                self._outage.refused(error)  # which is no reason not to keep leases
                return False
            self._next_beat = 0.0
            raise
        except Exception as error:  # nor is a record that cannot be written
            self._beat_failures.ended(error)
            return False
        self._beat_failures.recovered()
        return True

    def _renew(self, client: Any, claims: list[Claim]) -> None:
        args: list[Any] = [int(self._lease_s * 1000)]
        for claim in claims:
            args += (claim.queue, claim.key, claim.token)
        lost = Counter(call_script(client, "renew", self._queues, args))
        # Should two runs here have had the same job, the older is lost: `claims` are in order.
        for claim in claims if lost else ():
            if lost[claim.key] > 0:
                lost[claim.key] -= 1
                # Unless it was dropped meanwhile: it has ended by itself, and that is why it was not found.
                if self._held.pop(id(claim), None) is not None:
                    self._lost(claim)
