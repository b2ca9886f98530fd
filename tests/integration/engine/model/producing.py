"""What producers do, and the world: jobs come, are given up, lose their bodies; time passes."""

from __future__ import annotations

import pickle
from contextlib import suppress
from typing import TYPE_CHECKING

from arq.jobs import Job as StockJob
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from noteflow.infrastructure.queue import keys
from tests.integration.engine.model.job import Kept
from tests.integration.engine.model.jobs import DAY
from tests.integration.engine.model.stage import LEAPS_S, LIVES_MS, QUEUES, STEP_S, Stage
from worker.engine.scripts import run_script

if TYPE_CHECKING:
    from tests.integration.engine.model.job import Job

some_id = st.sampled_from([job_id for job_id in QUEUES if job_id != "cron"])
function = st.sampled_from(list(LIVES_MS))

BRIEF_S = 427


def may_expire(job: Job) -> bool:
    """Tell whether its body has an end."""
    return job.body is not None and job.body.until is not None


def may_be_aborted(job: Job) -> bool:
    """Tell whether a producer that gives it up is told nothing at once."""
    return job.is_live and not job.marked and job.result is None


class Producing(Stage):
    """Let producers enqueue as Arq's do, with Arq's own code."""

    @initialize(job_ids=st.sets(some_id, min_size=1), function=function, waited_s=st.sampled_from([0, 16 * STEP_S]))
    def it_begins_with_some_jobs(self, job_ids: set[str], function: str, waited_s: int) -> None:
        for job_id in sorted(job_ids):
            self._enqueue(job_id, function)
            self.some_seconds_pass()
        self.some_seconds_pass(waited_s)

    @rule(job_id=some_id, function=function)
    def enqueue(self, job_id: str, function: str) -> None:
        self._enqueue(job_id, function)

    @rule(job_id=some_id, function=function, defer_s=st.sampled_from([177, 1_811]))
    def enqueue_for_later(self, job_id: str, function: str, defer_s: int) -> None:
        self._enqueue(job_id, function, _defer_by=defer_s)

    @rule(job_id=some_id, function=function)
    def enqueue_what_soon_expires(self, job_id: str, function: str) -> None:
        self._enqueue(job_id, function, _expires=BRIEF_S)

    @rule(tick=st.integers(0, 9))
    def cron_tick(self, tick: int) -> None:
        job, now = self.model.jobs["cron"], self.story.now
        mark = f"{keys.CRON_PREFIX}cron:{tick}"
        body = pickle.dumps({"t": None, "f": "notify", "a": (next(self.numbers),), "k": {}, "et": 1})
        args = ["cron", f"cron:{tick}", body, self.story.server_now(), DAY]
        answer = self.run(run_script(self.pool, "cron", [job.queue], args))
        assert answer == (mark not in self.model.marks and job.body is None and job.result is None)
        self.model.marks.setdefault(mark, Kept(b"1", now + DAY))
        if answer:
            self.model.enqueue(job, "notify", body, now + DAY, now)

    @precondition(lambda self: self.jobs(may_expire))
    @rule(data=st.data())
    def a_body_expires(self, data: st.DataObject) -> None:
        """Let a body that may expire do so now."""
        job = self.draw_job(data, may_expire)
        self.redis.delete(keys.job(job.id))
        job.body = None

    @precondition(lambda self: self.jobs(may_be_aborted))
    @rule(data=st.data())
    def abort(self, data: st.DataObject) -> None:
        job = self.draw_job(data, may_be_aborted)
        stock = StockJob(job.id, self.pool, _queue_name=job.queue)
        with suppress(TimeoutError):
            self.run(stock.abort(timeout=0, poll_delay=0))
        self.model.abort(job, self.story.now)

    @rule(seconds=st.sampled_from(LEAPS_S))
    def time_passes(self, seconds: int) -> None:
        self.some_seconds_pass(seconds)

    @rule()
    def leases_run_out(self) -> None:
        """Let all workers be dead, or cut off."""
        self.some_seconds_pass(32 * STEP_S)

    def _enqueue(self, job_id: str, function: str, **when: int) -> None:
        job, now = self.model.jobs[job_id], self.story.now
        number = next(self.numbers)
        accepted = self.run(
            self.pool.enqueue_job(function, number, _job_id=job_id, _queue_name=job.queue, **when)  # type: ignore[arg-type]
        )
        assert (accepted is not None) == (job.body is None and job.result is None), f"{job_id}: {accepted}"
        if accepted is not None:
            delay = when.get("_defer_by", 0) * 1000
            life = when["_expires"] * 1000 if "_expires" in when else delay + DAY
            self.model.enqueue(job, function, self.body_of(job_id), now + life, now + delay)

    def body_of(self, job_id: str) -> bytes:
        """Return the body as its producer wrote it."""
        body = self.redis.get(keys.job(job_id))
        assert isinstance(body, bytes)
        return body
