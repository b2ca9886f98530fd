"""All jobs as the model knows them, and what becomes of them at the hands of producers, operators and stock workers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from noteflow.infrastructure.queue import keys
from tests.integration.engine.model.job import Job, Kept

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

DAY: Final = 86_400_000
HOUR: Final = 3_600_000
OLD: Final = 72_000_000

# Two burials of one moment may stand in either order.
SAME_MS: Final = 100


class Jobs:
    """Be all jobs, and what operators have said. `fates` tells of each enqueueing what became of it, so far nothing."""

    def __init__(self, queues: Mapping[str, str], most_letters: int) -> None:
        self.jobs = {job_id: Job(job_id, queue) for job_id, queue in queues.items()}
        self.queues = tuple(dict.fromkeys(queues.values()))
        self.most_letters = most_letters
        self.paused: set[str] = set()
        self.marks: dict[str, Kept] = {}
        self.counts = dict.fromkeys(("buried", "evicted", "replayed", "dropped"), 0)
        self.fates: dict[tuple[str, int], str] = {}
        self.alone: dict[str, str] = {}
        """Of each worker the job in quarantine that it runs alone, or ran when it was lost."""
        self.alone_until = 0.0
        self.beats: dict[str, float] = {}

    def forget(self, now: float) -> None:
        """Let time have passed."""
        for job in self.jobs.values():
            job.forget(now)
        for name, mark in list(self.marks.items()):
            if mark.until is not None and mark.until <= now:
                del self.marks[name]
        if self.alone_until <= now:
            self.alone.clear()

    def is_paused(self, job: Job) -> bool:
        """Tell whether an operator has paused its function."""
        return f"function:{job.function}" in self.paused

    def unshelve(self, queues: Iterable[str], *, aborts: bool) -> None:
        """Let jobs come back to their old places whose functions are resumed, or whose producers have given them up."""
        for job in self.jobs.values():
            if job.shelved and job.queue in queues:
                job.shelved = self.is_paused(job) and not (aborts and job.marked)

    def enqueue(self, job: Job, function: str, body: bytes, until: float | None, due: float) -> None:
        """Accept a job. What had the id before and has not ended has lost its body, or nothing would be accepted."""
        if job.is_live:
            self._note(job, "expired")
        job.begin(function, body, until, due)

    def replay(self, job: Job, now: float) -> str:
        """Enqueue a dead letter's body again, unless the id is in use."""
        if job.letter is None:
            return "missing"
        if "body" not in job.letter:
            return "empty"
        if job.body is not None or job.lock is not None:
            return "queued"
        letter, job.letter = job.letter, None
        job.result = job.retry = job.errors = job.crashes = job.unknown = job.handed = None
        self.enqueue(job, job.buried_function, letter["body"], None, now)
        self.counts["replayed"] += 1
        return "replayed"

    def abort(self, job: Job, now: float) -> None:
        """Mark a job to be ended, as `Job.abort()` does: it also makes what is not due yet the first in line."""
        job.marked = True
        if job.body is not None and job.score is not None and (job.shelved or job.score > now):
            job.score, job.parked, job.shelved = 1.0, False, False

    def drop(self, job: Job) -> bool:
        """Remove a dead letter."""
        if job.letter is None:
            return False
        job.letter = None
        self.counts["dropped"] += 1
        return True

    def end_elsewhere(self, job: Job) -> None:
        """Let a stock worker complete a job: what it does not know of stays until its time is over."""
        self._note(job, "complete")
        job.score = job.body = job.retry = job.lock = None
        job.parked = job.shelved = job.marked = False

    def keep(self, worker: str, now: float) -> None:
        """Let one worker of the fleet see, once an hour, to what has waited for most of a day."""
        if keys.KEEPER in self.marks:
            return
        self.marks[keys.KEEPER] = Kept(worker, now + HOUR)
        for job in self.jobs.values():
            if job.score is not None and job.score <= now - OLD:
                job.body = job.body and Kept(job.body.value)
            if job.listed is not None and job.listed <= now - OLD:
                job.listed, job.struck = None, True
            if job.listed is None and not job.parked:
                job.holder = ""

    def evict(self, evicted: Iterable[str]) -> None:
        """Let letters give way, which their buriers are told; the oldest go first, and no more than must."""
        for job_id in evicted:
            gone = self.jobs[job_id]
            letters = [job for job in self.jobs.values() if job.letter is not None]
            assert gone in letters, f"{job_id} gave way and was no letter"
            assert len(letters) > self.most_letters, f"{job_id} gave way to nobody"
            assert gone.died <= min(job.died for job in letters) + SAME_MS, f"{job_id} was not the oldest"
            gone.letter = None
            self.counts["evicted"] += 1

    def _note(self, job: Job, fate: str) -> None:
        known = self.fates.get((job.id, job.round))
        assert known is None, f"{job.id}, enqueued {job.round} times, is {fate} and was {known}"
        self.fates[job.id, job.round] = fate
