"""One claim: what was asked, what was due, and what it did to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from noteflow.infrastructure.queue.keys import SHELVES_FROM_MS

if TYPE_CHECKING:
    from tests.integration.engine.model.job import Job
    from tests.integration.engine.model.model import Model
    from tests.integration.engine.model.story import Look
    from worker.engine.claims import Batch
    from worker.engine.options import Options
    from worker.engine.wire import Request

PUT_OFF_MS: Final = 200
LONGEST_PUT_OFF_MS: Final = 1000
LOOK_AGAIN_MS: Final = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """Be one claim and its answer: `before` and `after` it, and when it was by the server's clock in the story."""

    request: Request
    queues: tuple[str, ...]
    options: Options
    batch: Batch
    now: float
    before: Look
    after: Look


class Judgement:
    """Be what a claim did to the jobs that were due."""

    def __init__(self, asked: Asked, model: Model) -> None:
        self.asked, self.model = asked, model
        self.caller = asked.request.token.rpartition(":")[0]
        self.taken = [claim.job_id for claim in self.asked.batch.claims]
        self.took_alone = any(self.is_in_quarantine(model.jobs[job_id]) for job_id in self.taken)
        due = [job for job in self.model.jobs.values() if self.is_due(job)]
        self.set_aside = [job for job in due if self.is_set_aside(job)]
        self.put_off = [job for job in due if self.was_put_off(job)]
        settled = {job.id for job in (*self.set_aside, *self.put_off)} | set(self.taken)
        self.overlooked = [job for job in due if self.is_steered(job) and not self.is_in_paused_queue(job)]
        self.overlooked = [job for job in self.overlooked if job not in self.set_aside]
        self.left = [job for job in due if job.id not in settled and self.is_to_be_had(job)]

    def is_due(self, job: Job) -> bool:
        """Tell whether its time has come, wherever it is."""
        return (
            job.score is not None and not job.shelved and job.score <= self.asked.now and job.queue in self.asked.queues
        )

    def is_steered(self, job: Job) -> bool:
        """Tell whether its function is paused, unless its producer has given it up. Without a body it has none."""
        aborted = job.marked and self.asked.request.aborts
        return job.body is not None and self.model.is_paused(job) and not aborted

    def is_to_be_had(self, job: Job) -> bool:
        """Tell whether the claim may have taken it."""
        paused = self.is_in_paused_queue(job) or self.is_steered(job)
        return self.is_due(job) and job.lock is None and not paused

    def is_in_paused_queue(self, job: Job) -> bool:
        """Tell whether an operator has paused its queue."""
        return f"queue:{job.queue}" in self.model.paused

    def is_set_aside(self, job: Job) -> bool:
        """Tell whether it was put on the shelf of its function."""
        return self.asked.after.zset(job.queue).get(job.id, 0.0) >= SHELVES_FROM_MS

    def was_put_off(self, job: Job) -> bool:
        """Tell whether it must run alone and could not, or its worker may come back."""
        score = self.asked.after.zset(job.queue).get(job.id)
        return score in (self.asked.now + PUT_OFF_MS + 0.5, self.asked.now + LONGEST_PUT_OFF_MS + 0.5)

    def is_in_quarantine(self, job: Job) -> bool:
        """Tell whether it must run alone."""
        return self.model.is_in_quarantine(job, self.asked.options, self.caller)

    def is_undecided(self, job: Job) -> bool:
        """Tell whether its worker, in which it ran alone, may come back."""
        return job.parked and self.crashes_of(job) is None

    def crashes_of(self, job: Job) -> int | None:
        """Return the crashes of a job whose lease has lapsed; None if its worker may come back."""
        return self.model.crashes_of(job, self.asked.options, self.caller)

    @property
    def turn_is_wanted(self) -> bool:
        """Tell whether a job that must run alone was put off since the worker has others."""
        return any(self.is_in_quarantine(job) for job in self.put_off)

    def is_orphan(self, job: Job) -> bool:
        """Tell whether its worker is gone, which shows in the list of leases."""
        return job.parked and job.id in self.asked.before.zset(f"arq:leases:{job.queue}")

    @property
    def bytes_ran_out(self) -> bool:
        """Tell whether the bodies were as many bytes as were asked for."""
        return sum(len(claim.body or b"") for claim in self.asked.batch.claims) >= self.asked.options.claim_bytes

    @property
    def is_full(self) -> bool:
        """Tell whether the claim got all that it asked for."""
        return len(self.taken) == self.asked.request.limit or self.bytes_ran_out or self.took_alone
