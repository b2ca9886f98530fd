"""Run one claimed job from its body to its ending; whatever it does, it has one.

A run is one task. Being cancelled is never a mystery: whoever cancels it has written the cause into the claim first
(timeout, drain, lost lease) or into `aborting_tasks`; a cancellation without a cause is the job's own.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from arq.utils import ms_to_datetime, timestamp_ms

from worker.engine import lines
from worker.engine.claims import Bury, Cause, Claim, Ending, GiveBack, Outcome, Settlement, Status
from worker.engine.job import Job, Unrunnable, examine, unknown_function
from worker.engine.losses import note_lost_with
from worker.engine.outcome import conclude

if TYPE_CHECKING:
    from worker.engine.envelope import Envelope
    from worker.engine.worker import Worker

logger = logging.getLogger("worker.engine")
arq_log = logging.getLogger("arq.worker")

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


async def run_claim(worker: Worker, claim: Claim) -> None:
    """Run the claimed job and record its ending; return when both are done. Raises nothing but a loop's end."""
    if claim.crashes:
        await note_lost_with(worker, claim)
    examined = examine(worker, claim)
    if isinstance(examined, Unrunnable):
        worker.runs.release_slot(claim)
        await _end_unrun(worker, claim, examined)
        return
    attempt = await _attempt(worker, examined)
    settlement, outcome = conclude(worker, examined, attempt)
    worker.runs.release_slot(claim)
    if worker.on_job_end:
        await _hook(worker.on_job_end, attempt.ctx, examined.ref)
    if settlement is not None:
        outcome = await _settle(worker, settlement, outcome)
    if worker.after_job_end:
        await _hook(worker.after_job_end, attempt.ctx, examined.ref)
    _tell(worker, claim, examined.envelope, outcome, attempt.start_ms, attempt.error, settlement)


async def _attempt(worker: Worker, job: Job) -> Attempt:
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
    worker.runs.lease_until(claim, timeout_s)
    task = asyncio.current_task()
    assert task is not None
    timer: asyncio.TimerHandle | None = None
    try:
        if claim.cause is not None:
            raise asyncio.CancelledError  # noqa: TRY301 - cancelled between the claim and here
        claim.task = worker.job_tasks[claim.job_id] = task
        if worker.on_job_start:
            await worker.on_job_start(attempt.ctx)
            worker.runs.lease_until(claim, timeout_s)  # the hook's time is not the job's
        attempt.start_ms = timestamp_ms()
        _log_start(worker, job, attempt.start_ms)
        if timeout_s is not None:
            timer = worker.loop.call_later(timeout_s, _expire, claim, task)
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


async def _end_unrun(worker: Worker, claim: Claim, unrunnable: Unrunnable) -> None:
    started_ms = timestamp_ms()
    outcome = await _settle(worker, unrunnable.settlement, unrunnable.outcome)
    if unrunnable.settlement.status is Status.GRACE_OVER:
        unrunnable = unknown_function(worker, claim, unrunnable.envelope, grace_over=True)
        outcome = await _settle(worker, unrunnable.settlement, unrunnable.outcome)
    elif isinstance(unrunnable.settlement, GiveBack) and unrunnable.settlement.shelf:
        worker.wanted.set()  # a claim that knows of the shelf says when to look whether it is to be cleared
    _tell(worker, claim, unrunnable.envelope, outcome, started_ms, unrunnable.error, unrunnable.settlement)


async def _settle(worker: Worker, settlement: Settlement, outcome: Outcome) -> Outcome:
    worker.link.settle(settlement)
    status = await settlement.wait()
    worker.runs.drop(settlement.claim)
    if status is Status.LOST:
        logger.warning("%s ended, but its lease was lost: its ending changes nothing", settlement.claim.job_id)
        return Outcome.LOST
    return outcome


async def _hook(hook: Any, ctx: dict[Any, Any], ref: str) -> None:
    try:
        await hook(ctx)
    except (Exception, asyncio.CancelledError, SystemExit):
        logger.exception("%s raised after %s had run", getattr(hook, "__qualname__", hook), ref)


def _reason(settlement: Settlement | None) -> str:
    """Return why a dead letter was written; an ending that did not reach Redis will be another worker's to tell."""
    return settlement.reason if isinstance(settlement, Bury) and settlement.status is Status.DONE else ""


def _tell(
    worker: Worker,
    claim: Claim,
    envelope: Envelope,
    outcome: Outcome,
    started_ms: int,
    error: BaseException | None,
    settlement: Settlement | None,
) -> None:
    worker.last_progress = time.time()
    if worker.options.on_ending is None:
        return
    ending = Ending(
        claim.job_id,
        envelope.function,
        worker.queues[claim.queue - 1],
        outcome,
        envelope.tries,
        envelope.enqueued_ms or None,
        started_ms,
        error=error,
        crashes=claim.crashes,
        reason=_reason(settlement),
        handed_back=settlement.why if isinstance(settlement, GiveBack) and outcome is Outcome.HANDED_BACK else "",
    )
    try:
        worker.options.on_ending(ending)
    except Exception:
        logger.exception("on_ending raised for %s", claim.job_id)
