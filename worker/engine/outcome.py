"""Turn what a job's function returned or raised into its ending, with Arq's counters and lines of log."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any

import arq.worker
from arq.worker import JobExecutionFailed, Retry, RetryJob

from worker.engine import lines
from worker.engine.claims import Bury, Cause, Finish, GiveBack, Settlement, Why
from worker.engine.ending import Outcome
from worker.engine.log import Log
from worker.engine.results import result_bytes, result_life_ms
from worker.engine.verdicts import AttemptError, HandBack, Refused, error_list

if TYPE_CHECKING:
    from worker.engine.attempt import Attempt
    from worker.engine.job import Job
    from worker.engine.worker import Worker

arq_log = Log("arq.worker")
logger = Log("worker.engine")


def conclude(worker: Worker, job: Job, attempt: Attempt) -> tuple[Settlement | None, Outcome]:
    """Return how the job ends; no settlement if its lease is lost, for then it is somebody else's job."""
    error, claim = attempt.error, job.claim
    # Taken off whatever the job has made of it: its next run is not meant.
    aborting = claim.job_id in worker.aborting_tasks
    worker.aborting_tasks.discard(claim.job_id)
    if error is None:
        return _completed(worker, job, attempt), Outcome.COMPLETE
    cancelled = isinstance(error, asyncio.CancelledError)
    if cancelled and claim.cause is Cause.LOST:
        logger.warning("%6.2fs ⊘ %s stopped, its lease was lost", attempt.duration_s, job.ref)
        worker.runs.drop(claim)
        return None, Outcome.LOST
    if worker.retry_jobs and isinstance(error, Retry):
        return _retried(worker, job, attempt, error)
    if cancelled and aborting:
        arq_log.info("%6.2fs ⊘ %s aborted", attempt.duration_s, job.ref)
        worker.jobs_failed += 1
        return Finish(claim, **_result(worker, job, attempt, error, success=False)), Outcome.ABORTED
    if isinstance(error, HandBack):
        return _handed_back(worker, job, attempt, error)
    if (worker.retry_jobs and isinstance(error, asyncio.CancelledError | RetryJob)) or claim.cause is Cause.DRAIN:
        return _run_again(worker, job, attempt)
    if claim.cause is Cause.TIMEOUT and worker.options.retry_timeouts:
        return _timed_out(worker, job, attempt, error)
    return _failed(worker, job, attempt, error)


def _completed(worker: Worker, job: Job, attempt: Attempt) -> Settlement:
    worker.jobs_complete += 1
    if arq_log.isEnabledFor(logging.INFO):
        shown = ""
        if attempt.result is not None and worker.log_results:
            try:  # the job has succeeded, whatever its result thinks of being shown
                shown = lines.short_repr(attempt.result)
            except Exception as error:
                shown = f"<repr() raised {type(error).__name__}>"
        arq_log.info("%6.2fs ← %s ● %s", attempt.duration_s, job.ref, shown)
    return Finish(job.claim, **_result(worker, job, attempt, attempt.result, success=True))


def _retried(worker: Worker, job: Job, attempt: Attempt, error: Retry) -> tuple[Settlement, Outcome]:
    arq_log.info("%6.2fs ↻ %s retrying job in %0.2fs", attempt.duration_s, job.ref, (error.defer_score or 0) / 1000)
    worker.jobs_retried += 1
    return _charged(worker, job, attempt, error, error.defer_score or None)


def _run_again(worker: Worker, job: Job, attempt: Attempt) -> tuple[Settlement, Outcome]:
    arq_log.info("%6.2fs ↻ %s cancelled, will be run again", attempt.duration_s, job.ref)
    worker.jobs_retried += 1
    if job.claim.cause is Cause.DRAIN:
        return GiveBack(job.claim, tries=job.envelope.tries - 1, why=Why.DRAIN), Outcome.HANDED_BACK
    assert attempt.error is not None
    return _charged(worker, job, attempt, attempt.error, None)


def _timed_out(worker: Worker, job: Job, attempt: Attempt, error: BaseException) -> tuple[Settlement, Outcome]:
    pause_s = min(2.0**job.envelope.tries, 60.0)
    arq_log.warning("%6.2fs ↻ %s ran past its timeout, retrying in %0.2fs", attempt.duration_s, job.ref, pause_s)
    worker.jobs_retried += 1
    return _charged(worker, job, attempt, error, int(pause_s * 1000))


def _charged(
    worker: Worker, job: Job, attempt: Attempt, error: BaseException, delay_ms: int | None
) -> tuple[Settlement, Outcome]:
    """Put the job back if it has a try left; say at once that it has none, rather than one claim later."""
    if job.envelope.tries < job.max_tries:
        told = (_attempt_error(worker, job, error),)
        return GiveBack(job.claim, tries=job.envelope.tries, delay_ms=delay_ms, errors=told), Outcome.RETRIED
    arq_log.warning("%6.2fs ! %s max retries %d exceeded", attempt.duration_s, job.ref, job.max_tries)
    worker.jobs_failed += 1
    spent = JobExecutionFailed(f"max {job.max_tries} retries exceeded")
    return _bury(worker, job, attempt, spent, str(spent), [_attempt_error(worker, job, error)]), Outcome.DEAD


def _handed_back(worker: Worker, job: Job, attempt: Attempt, error: HandBack) -> tuple[Settlement, Outcome]:
    growing = "" if error.longest_s is None else "at least "
    arq_log.info("%6.2fs ↻ %s handed back for %s%0.2fs: %s", attempt.duration_s, job.ref, growing, error.delay_s, error)
    worker.jobs_retried += 1
    told = error.attempts or (() if error.__cause__ is None else (_attempt_error(worker, job, error.__cause__),))
    again = GiveBack(
        job.claim,
        tries=job.envelope.tries - 1,
        delay_ms=int(error.delay_s * 1000) if error.delay_s > 0 else None,
        errors=told,
        why=str(error)[:100],
        longest_ms=None if error.longest_s is None else int(error.longest_s * 1000),
    )
    return again, Outcome.HANDED_BACK


def _failed(worker: Worker, job: Job, attempt: Attempt, error: BaseException) -> tuple[Settlement, Outcome]:
    worker.jobs_failed += 1
    if isinstance(error, Refused):
        arq_log.error("%6.2fs ! %s refused: %s", attempt.duration_s, job.ref, error, extra={"verdict": "refused"})
        attempts = list(error.attempts) or [_attempt_error(worker, job, error.__cause__ or error)]
        # Its producer may have Arq and nothing of ours, and could not unpickle an exception of ours.
        said = JobExecutionFailed(error.reason)
        return _bury(worker, job, attempt, said, error.reason, attempts), Outcome.DEAD
    message = AttemptError.of(error).message
    arq_log.error(
        "%6.2fs ! %s failed, %s: %s",
        attempt.duration_s,
        job.ref,
        type(error).__name__,
        message,
        exc_info=error,
        extra={"extra": _extra(error)},
    )
    told = _attempt_error(worker, job, error)
    return _bury(worker, job, attempt, error, f"{type(error).__name__}: {message}", [told]), Outcome.DEAD


def _bury(
    worker: Worker, job: Job, attempt: Attempt, error: BaseException, reason: str, attempts: list[AttemptError]
) -> Bury:
    return Bury(
        job.claim,
        function=job.envelope.function,
        reason=reason,
        errors=error_list(attempts),
        enqueued_ms=job.envelope.enqueued_ms,
        **_result(worker, job, attempt, error, success=False, stay=False),
    )


def _attempt_error(worker: Worker, job: Job, error: BaseException) -> AttemptError:
    """Describe why the attempt failed: behind a `Retry` stands the true error, if the job has told it."""
    if isinstance(error, Retry | RetryJob):
        error = error.__cause__ or error.__context__ or error
    return AttemptError.of(error, attempt=job.envelope.tries, worker=worker.worker_id)


def _result(
    worker: Worker, job: Job, attempt: Attempt, result: Any, *, success: bool, stay: bool = True
) -> dict[str, Any]:
    life_ms = result_life_ms(worker, job.function)
    written: bytes | None = None
    if life_ms >= 0:
        written = result_bytes(
            worker,
            job.claim,
            job.envelope,
            result,
            success=success,
            start_ms=attempt.start_ms,
            finished_ms=attempt.finished_ms,
            ref=job.ref,
        )
    form: dict[str, Any] = {"result": written or b"", "life_ms": life_ms if written is not None else -1}
    if stay and hasattr(job.function, "next_run"):
        form["stay_ms"] = int(arq.worker.keep_cronjob_progress * 1000)  # type: ignore[attr-defined]
    return form


def _extra(error: BaseException) -> Any:
    try:
        extra = getattr(error, "extra", None)
        return extra() if callable(extra) else extra
    except Exception as second:
        return f"<extra raised {type(second).__name__}>"
