"""What operators do, and the stock workers in the fleet."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from noteflow.infrastructure.queue import keys
from tests.integration.engine.model.job import RETRY_LIFE, Kept
from tests.integration.engine.model.producing import Producing
from tests.integration.engine.model.stage import LIVES_MS, LOWER, UPPER

if TYPE_CHECKING:
    from tests.integration.engine.model.job import Job

functions = [f"function:{name}" for name in LIVES_MS]
pausable = st.sampled_from([*functions, *functions, f"queue:{UPPER}", f"queue:{LOWER}"])

STOCK_LEASE_MS = 1_206_000
STOCK_RETRY_MS = 180_000


class Steering(Producing):
    """Pause, resume, replay, drop; and let a stock worker serve the upper queue, with a lock of its own."""

    @precondition(lambda self: len(self.model.paused) < 2)
    @rule(what=pausable)
    def pause(self, what: str) -> None:
        self.redis.hset(keys.PAUSED, what, "bad deploy")
        self.model.paused.add(what)

    @precondition(lambda self: self.model.paused)
    @rule(data=st.data())
    def resume(self, data: st.DataObject) -> None:
        what = data.draw(st.sampled_from(sorted(self.model.paused)), "what")
        self.redis.hdel(keys.PAUSED, what)
        self.model.paused.discard(what)

    @precondition(lambda self: self.jobs(is_dead))
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        job = self.draw_job(data, is_dead)
        expected = self.model.replay(job, self.story.now)
        assert self.run(self.letters.replay(job.id)) == expected

    @precondition(lambda self: self.jobs(is_dead))
    @rule(data=st.data())
    def drop(self, data: st.DataObject) -> None:
        job = self.draw_job(data, is_dead)
        assert self.run(self.letters.drop(job.id)) == self.model.drop(job)

    @precondition(lambda self: self.jobs(self.is_for_stock_workers))
    @rule(data=st.data())
    def a_stock_worker_takes(self, data: st.DataObject) -> None:
        job, now = self.draw_job(data, self.is_for_stock_workers), self.story.now
        assert self.redis.set(keys.in_progress(job.id), b"1", nx=True, px=STOCK_LEASE_MS)
        self.redis.incr(keys.retry(job.id))
        self.redis.expire(keys.retry(job.id), keys.RETRY_LIFE_S)
        job.lock, job.struck = Kept(b"1", now + STOCK_LEASE_MS), True
        job.retry = Kept((job.retry.value if job.retry else 0) + 1, now + RETRY_LIFE)

    @precondition(lambda self: self.jobs(is_a_stock_workers))
    @rule(data=st.data(), completes=st.booleans())
    def a_stock_worker_ends(self, data: st.DataObject, completes: bool) -> None:
        """End what it took; one that dies says nothing, and its lock ends by itself."""
        job = self.draw_job(data, is_a_stock_workers)
        self.redis.delete(keys.in_progress(job.id))
        if completes:
            self.redis.delete(keys.retry(job.id), keys.job(job.id))
            self.redis.zrem(job.queue, job.id)
            self.redis.zrem(keys.ABORT, job.id)
            self.model.end_elsewhere(job)
        else:
            self.redis.zincrby(job.queue, STOCK_RETRY_MS, job.id)
            job.lock, job.score = None, (job.score or 0) + STOCK_RETRY_MS

    def is_for_stock_workers(self, job: Job) -> bool:
        """Tell whether a stock worker of the upper queue would find it, with a body."""
        return job.is_free(self.story.now) and job.queue == UPPER and job.body is not None


def is_dead(job: Job) -> bool:
    """Tell whether it is among the dead letters."""
    return job.letter is not None


def is_a_stock_workers(job: Job) -> bool:
    """Tell whether a stock worker has it."""
    return job.lock is not None and bool(job.lock.value == b"1")
