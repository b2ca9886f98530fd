"""Call a job's function once, within its time, and keep whatever comes of it.

Being cancelled is never a mystery: whoever cancels a run has written the cause into the claim first (timeout, drain,
lost lease) or into `aborting_tasks`; a cancellation without a cause is the job's own.
"""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from arq.utils import ms_to_datetime, timestamp_ms

from worker.engine import lines
from worker.engine.claims import Cause, Claim
from worker.engine.log import Log

if TYPE_CHECKING:
    from worker.engine.job import Job
    from worker.engine.worker import Worker

arq_log = Log("arq.worker")

NO_RESULT: Final = object()


@dataclass(slots=True)
class Attempt:
    """Be what one call of a job's function came to; `error` is None if it returned. Times are unix ms."""

    ctx: dict[Any, Any]
    start_ms: int = field(default_factory=timestamp_ms)
    finished_ms: int = 0
    result: Any = NO_RESULT
    error: BaseException | None = None

    @property
    def duration_s(self) -> float:
        """Return how long the function ran."""
        return (self.finished_ms - self.start_ms) / 1000


async def attempt_job(worker: Worker, job: Job) -> Attempt:
    """Call the hook and the function, and return what came of it, whatever was raised."""
    claim, envelope = job.claim, job.envelope
    attempt = Attempt(
        {
            **worker.ctx,
            "job_id": claim.job_id,
            "job_try": envelope.tries,
            "enqueue_time": ms_to_datetime(envelope.enqueued_ms),
            "score": claim.score,
        }
    )
    if claim.errors:
        attempt.ctx["earlier_errors"] = claim.errors
    timeout_s = worker.job_timeout_s if job.function.timeout_s is None else job.function.timeout_s
    task = asyncio.current_task()
    assert task is not None
    timer = _limit(worker, claim, task, timeout_s)
    try:
        if claim.cause is not None:
            raise asyncio.CancelledError  # noqa: TRY301 - cancelled between the claim and here
        claim.task = worker.job_tasks[claim.job_id] = task
        if worker.on_job_start:
            await worker.on_job_start(attempt.ctx)
            if timer is not None:
                timer.cancel()
            timer = _limit(worker, claim, task, timeout_s)
        attempt.start_ms = timestamp_ms()
        _log_start(worker, job, attempt.start_ms)
        attempt.result = await job.function.coroutine(attempt.ctx, *envelope.args, **envelope.kwargs)
    except GeneratorExit:
        raise
    except BaseException as error:  # also SystemExit: a job must not take its worker with it
        attempt.error = _timeout(error) if _timed_out(claim, error) else error
    finally:
        if timer is not None:
            timer.cancel()
        claim.task = claim.deadline_s = None
        if worker.job_tasks.get(claim.job_id) is task:  # not of a later run, if this one has long lost its lease
            del worker.job_tasks[claim.job_id]
        while task.cancelling():  # that was the job's; the hooks begin as if nobody had been cancelled
            task.uncancel()
        attempt.finished_ms = timestamp_ms()
    return attempt


def _timed_out(claim: Claim, error: BaseException) -> bool:
    return isinstance(error, asyncio.CancelledError) and claim.cause is Cause.TIMEOUT


def _timeout(cancelled: BaseException) -> TimeoutError:
    error = TimeoutError()
    error.__cause__ = cancelled  # whose traceback shows where the job was waiting
    return error


def _limit(
    worker: Worker, claim: Claim, task: asyncio.Task[Any], timeout_s: float | None
) -> asyncio.TimerHandle | None:
    """Give the function, and before it the hook, so long, and the lease a little longer."""
    worker.runs.lease_until(claim, timeout_s)
    return None if timeout_s is None else worker.loop.call_later(timeout_s, _expire, claim, task)


def _expire(claim: Claim, task: asyncio.Task[Any]) -> None:
    if claim.cause is None:
        claim.cause = Cause.TIMEOUT
        task.cancel()


def _log_start(worker: Worker, job: Job, start_ms: int) -> None:
    if not arq_log.isEnabledFor(logging.INFO):
        return
    envelope = job.envelope
    try:
        call = lines.arguments(envelope.args, envelope.kwargs) if worker.options.log_arguments else ""
    except Exception:  # an argument that cannot be shown is still a fine argument
        call = "?"
    extra = f" try={envelope.tries}" if envelope.tries > 1 else ""
    if (late_ms := start_ms - job.claim.score) > 1200:
        extra += f" delayed={late_ms / 1000:0.2f}s"
    arq_log.info("%6.2fs → %s(%s)%s", (start_ms - envelope.enqueued_ms) / 1000, job.ref, call, extra)
