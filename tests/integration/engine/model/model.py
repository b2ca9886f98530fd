"""What the engine promises of a queue of jobs, in plain Python: what each act does, and to whom it does nothing.

It is told what happens in the words of the engine, and says what must come of it. Times are those of the story, in ms.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.integration.engine.model.job import ERRORS_KEPT, RETRY_LIFE, Job, Kept
from tests.integration.engine.model.quarantine import Quarantine
from worker.engine.claims import Bury, Finish, GiveBack, Settlement, Status
from worker.engine.verdicts import error_lines

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from worker.engine.claims import Claim


class Model(Quarantine):
    """Be all jobs, and what workers do with them."""

    def __init__(self, queues: Mapping[str, str], most_letters: int) -> None:
        super().__init__(queues, most_letters)
        self.claimed: dict[tuple[str, str], tuple[int, float]] = {}
        """Of each token and job: which round of the job was claimed, and the place that it had before."""

    def claim(self, job: Job, token: str, place: float, now: float, lease_ms: int, crashes: int) -> None:
        """Give a due job to a worker; `crashes` are known of it by now, if its lease has lapsed."""
        self.claimed[token, job.id] = job.round, float(min(place, now) // 1)
        if crashes:
            job.crashes = Kept(crashes, now + RETRY_LIFE)
        job.park(token, now, lease_ms)
        if job.body is not None:
            job.body = Kept(job.body.value)  # it lives until the job ends

    def recover(self, token: str, now: float, lease_ms: int) -> int:
        """Put back what a claim took whose answer never came; what has a place of its own by now stays there."""
        ours = [job for job in self.jobs.values() if job.lock and job.lock.value == token]
        held = [job for job in ours if job.listed is not None and now <= job.listed <= now + lease_ms + 1000]
        for job in held:
            job.score = now if job.parked else job.score
            job.release()
        return len(held)

    def has(self, claim: Claim) -> bool:
        """Tell whether the claim still has its job."""
        job = self.jobs[claim.job_id]
        return job.is_live and job.is_held_by(claim.token)

    def renew(self, claims: Iterable[Claim], now: float, lease_ms: int) -> list[str]:
        """Prolong the leases that still hold; return the ids of those that are lost."""
        lost = []
        for claim in claims:
            job = self.jobs[claim.job_id]
            if self.has(claim):
                job.park(claim.token, now, lease_ms)
            elif (job.is_live or job.lock is not None) and not job.stays(claim.token):
                lost.append(job.id)
        return lost

    def settle(self, settlement: Settlement, worker: str, now: float) -> Status:
        """Do what an ending does, if it is one of the claim that has the job."""
        claim = settlement.claim
        job = self.jobs[claim.job_id]
        if not self.has(claim):
            return self._too_late(settlement, job, now)
        if isinstance(settlement, GiveBack):
            return self._give_back(settlement, job, worker, now)
        if isinstance(settlement, Bury):
            self._bury(settlement, job, worker, now)
            self._keep_result(job, settlement, now)
        elif isinstance(settlement, Finish):
            number, _ = self.claimed[claim.token, job.id]
            assert number == job.round, f"{job.id}: the end of what was enqueued as number {number} ends {job.round}"
            self._note(job, "complete")
            job.end()
            self._keep_result(job, settlement, now)
            if settlement.stay_ms:
                job.lock = Kept(f"ended:{claim.token}", now + settlement.stay_ms)
        return Status.DONE

    def _too_late(self, settlement: Settlement, job: Job, now: float) -> Status:
        token = settlement.claim.token
        if isinstance(settlement, Bury) and job.letter is not None and job.letter["token"] == token:
            return Status.DONE  # said twice
        if isinstance(settlement, Finish) and job.stays(token):
            return Status.DONE  # said twice
        if isinstance(settlement, Finish) and not job.is_live and job.body is None and job.lock is None:
            # To Redis it looks as if it had lost its data. The result is kept, unless there is one.
            if job.result is None:
                self._keep_result(job, settlement, now)
            return Status.DONE
        return Status.LOST

    def _give_back(self, back: GiveBack, job: Job, worker: str, now: float) -> Status:
        if back.grace_ms is not None:
            job.unknown = job.unknown or Kept(now, now + 2 * back.grace_ms)
            if now - job.unknown.value >= back.grace_ms:
                return Status.GRACE_OVER
        job.release()
        if back.errors:
            told = (job.errors.value if job.errors else []) + error_lines(back.errors).split(b"\n")
            job.errors = Kept(told[-ERRORS_KEPT:], now + RETRY_LIFE)
        job.retry = Kept(back.tries, now + RETRY_LIFE) if back.tries > 0 or job.errors else None
        delay = back.delay_ms
        if back.why:
            counted = dict(job.handed.value) if job.handed else {}
            times = counted[f"n:{back.why}"] = counted.get(f"n:{back.why}", 0) + 1
            counted[f"by:{back.why}"] = worker
            job.handed = Kept(counted, now + RETRY_LIFE)
            if delay is not None and back.longest_ms is not None:
                delay = min(delay * 2 ** (times - 1), back.longest_ms)
        job.shelved = bool(back.shelf)
        _, place = self.claimed[back.claim.token, job.id]
        job.score = place if delay is None or back.shelf else now + delay
        return Status.DONE

    def _bury(self, bury: Bury, job: Job, worker: str, now: float) -> None:
        body = job.body.value if job.body else bury.claim.body
        told = [*(job.errors.value if job.errors else []), bury.errors.removeprefix(b"[").removesuffix(b"]")]
        job.letter = {
            "function": bury.function,
            "queue": job.queue,
            "reason": bury.reason,
            "errors": b"[" + b",".join(line for line in told if line) + b"]",
            "tries": bury.claim.tries,
            "crashes": job.crash_count,
            "worker": worker,
            "token": bury.claim.token,
            **({} if body is None else {"body": body}),
        }
        # A claim without a body may bury what was enqueued anew under it.
        job.died, job.buried_function = now, job.function if job.body else bury.function
        self.counts["buried"] += 1
        self._note(job, "dead")
        job.end()

    def _keep_result(self, job: Job, ending: Finish | Bury, now: float) -> None:
        if ending.life_ms >= 0:
            job.result = Kept(ending.result, now + ending.life_ms if ending.life_ms else None)
