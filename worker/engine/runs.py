"""Keep count of what runs: slots, tasks and leases, each given up exactly once."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from worker.engine.claims import Cause, GiveBack, Holds, Why
from worker.engine.log import Log
from worker.engine.run import run_claim

if TYPE_CHECKING:
    import asyncio

    from worker.engine.claims import Claim
    from worker.engine.worker import Worker

logger = Log("worker.engine")


class Runs:
    """Be the running jobs of `worker`; `begun` counts all there ever were, `suspects` those in quarantine.

    `emptying`: nothing more is claimed until the worker is empty, and then a job in quarantine first.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self.begun = 0
        self.suspects = 0
        self.emptying = False

    @property
    def holds(self) -> Holds:
        """Return what the next claim is to know of the jobs that run or wait for a slot here."""
        if self._worker.job_counter or len(self._worker.line):
            return Holds.JOBS
        return Holds.EMPTIED if self.emptying else Holds.NOTHING

    @property
    def claims_nothing(self) -> bool:
        """Tell whether a job in quarantine runs here alone, or is to; not if its lease was given up while it runs."""
        if self.suspects and any(self._is_suspect(claim) for claim in self._worker.leases.held):
            return True
        return self.emptying and self.holds is Holds.JOBS

    def take(self, claim: Claim) -> None:
        """Run a claimed job, now or as soon as there is a slot, with its lease renewed from now on."""
        worker = self._worker
        worker.leases.hold(claim)
        worker.leases.start()
        self.suspects += self._is_suspect(claim)
        if worker.job_counter < worker.max_jobs:
            self._start(claim)
        else:
            worker.line.put(claim)

    def _start(self, claim: Claim) -> None:
        worker = self._worker
        worker.job_counter += 1
        self.begun += 1
        # Not in the context of the job that has just made room: what it put there is not this one's.
        task = worker.loop.create_task(run_claim(worker, claim), context=worker.context.copy())
        worker.tasks[claim.job_id] = task
        task.add_done_callback(lambda done: self._ended(claim, done))

    def _ended(self, claim: Claim, task: asyncio.Task[None]) -> None:
        worker = self._worker
        if worker.tasks.get(claim.job_id) is task:
            del worker.tasks[claim.job_id]
        self.release_slot(claim)
        self.drop(claim)
        if task.cancelled():
            # Cancelled before its first step, for a run that has begun ends in its own way.
            worker.link.settle(GiveBack(claim, tries=claim.tries - 1, why=Why.DRAIN))
            return
        error = task.exception()
        if error is not None:
            worker.last_error = repr(error)[:300]
            logger.error("the run of %s broke off; it will run again elsewhere", claim.job_id, exc_info=error)

    def release_slot(self, claim: Claim) -> None:
        """Let another job begin: the function of this one has ended, though its ending may be on its way."""
        if claim.holds_slot:
            worker = self._worker
            was_full = worker.job_counter >= worker.max_jobs
            claim.holds_slot = False
            worker.job_counter -= 1
            worker.line.note_end()
            was_suspect = self._is_suspect(claim)
            self.suspects -= was_suspect
            waiting = worker.line.take()
            if waiting is not None:
                self._start(waiting)
            # Who had room has claimed all that was due, and is called when more is.
            if was_full or was_suspect or self.emptying or worker.burst:
                worker.wanted.set()

    def forgo(self, claim: Claim) -> None:
        """Let go of a claimed job that was not started."""
        self.suspects -= self._is_suspect(claim)
        self.drop(claim)
        if self.emptying:
            self._worker.wanted.set()

    def _is_suspect(self, claim: Claim) -> bool:
        return claim.crashes >= self._worker.options.suspicion

    def drop(self, claim: Claim) -> None:
        """Stop renewing the lease of an ended claim."""
        self._worker.leases.drop(claim)

    def lease_until(self, claim: Claim, timeout_s: float | None) -> None:
        """Set when the lease of a starting job is given up although it still runs."""
        if timeout_s is not None:
            claim.deadline_s = time.monotonic() + timeout_s + self._worker.options.overrun_s

    def lost_elsewhere(self, claim: Claim) -> None:
        """Stop a run whose job somebody else has claimed; called from the lease thread."""
        try:
            self._worker.loop.call_soon_threadsafe(self._lose, claim)
        except RuntimeError:
            logger.debug("the loop has ended before a lease was reported lost")

    def _lose(self, claim: Claim) -> None:
        if claim.in_line:
            self._worker.line.lose(claim)
        elif claim.cause is None:
            claim.cause = Cause.LOST  # also for a run that has not begun: then it does not
            if claim.task is not None:
                claim.task.cancel()
