"""Decide before its start whether a claimed job can be run, and what to do with it if not."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from arq.jobs import SerializationError
from arq.utils import timestamp_ms
from arq.worker import JobExecutionFailed

from noteflow.infrastructure.queue.codec import PICKLE_REFUSED, PickleRefused
from worker.engine.claims import Bury, Claim, Finish, GiveBack, Settlement, TooLong, Why
from worker.engine.ending import Outcome
from worker.engine.envelope import Envelope, Unreadable, empty_envelope, read_envelope
from worker.engine.log import Log
from worker.engine.results import result_bytes, result_life_ms
from worker.engine.verdicts import AttemptError, error_list

if TYPE_CHECKING:
    from arq.cron import CronJob
    from arq.worker import Function

    from worker.engine.worker import Worker

arq_log = Log("arq.worker")


@dataclass(frozen=True, slots=True)
class Job:
    """Be a claimed job that can be run."""

    claim: Claim
    envelope: Envelope
    function: Function | CronJob
    ref: str
    max_tries: int


@dataclass(frozen=True, slots=True)
class Unrunnable:
    """Be a claimed job that ends without being run, and how.

    If it was to be released and its grace is over, `after_grace` gives its other end.
    """

    settlement: Settlement
    envelope: Envelope
    outcome: Outcome
    error: BaseException | None = None
    after_grace: Callable[[], Unrunnable] | None = None


def examine(worker: Worker, claim: Claim) -> Job | Unrunnable:
    """Return the job in `claim`, or how it ends because it cannot be run."""
    if claim.too_long is not None:
        return _too_long(worker, claim, claim.too_long)
    if claim.body is None:
        return _bodiless(worker, claim)
    if claim.crashes >= worker.options.last_crash:
        return _deadly(worker, claim)  # before its body is read: that may be what its workers died of
    try:
        envelope = read_envelope(claim, worker.deserialize)
    except SerializationError as error:
        nobody = empty_envelope(claim, plain_pickle=worker.speaks_pickle)
        if isinstance(error.__cause__, PickleRefused):
            return _pickled(worker, claim, nobody)
        arq_log.exception("deserializing job %s failed", claim.job_id)
        return doomed(worker, claim, nobody, error, f"the body cannot be read: {error.__cause__}")
    except Unreadable as error:
        arq_log.error("job %s is malformed, %s", claim.job_id, error)
        nobody = empty_envelope(claim, plain_pickle=worker.speaks_pickle)
        refusal = JobExecutionFailed(f"malformed job: {error}")
        return doomed(worker, claim, nobody, refusal, f"malformed, {error}", name=error.envelope.function)
    if not claim.is_text:
        return doomed(worker, claim, envelope, JobExecutionFailed("job id is not UTF-8"), "the job's id is not UTF-8")
    return _envelope_in_order(worker, claim, envelope)


def _too_long(worker: Worker, claim: Claim, body: TooLong) -> Unrunnable:
    envelope = empty_envelope(claim, plain_pickle=worker.speaks_pickle)
    told = f"it is {body.size_bytes} bytes, and a job may carry {worker.options.max_body_bytes} at most"
    arq_log.error("job %s is not fetched: %s", claim.job_id, told)
    return doomed(worker, claim, envelope, JobExecutionFailed(told), f"the body cannot be read: {told}")


def _bodiless(worker: Worker, claim: Claim) -> Unrunnable:
    nobody = empty_envelope(claim, plain_pickle=worker.speaks_pickle)
    if claim.misshapen:
        arq_log.warning("job %s has a body that is no string", claim.job_id)
        wrong = JobExecutionFailed("job body is no string")
        return doomed(worker, claim, nobody, wrong, f"arq:job:{claim.job_id} is not a string")
    arq_log.warning("job %s expired", claim.job_id)
    return doomed(worker, claim, nobody, JobExecutionFailed("job expired"), "its body was missing or had expired")


def _envelope_in_order(worker: Worker, claim: Claim, envelope: Envelope) -> Job | Unrunnable:
    age_s = (timestamp_ms() - envelope.enqueued_ms) / 1000
    if claim.aborted:
        arq_log.info("%6.2fs ⊘ %s:%s aborted before start", age_s, claim.job_id, envelope.function)
        return aborted(worker, claim, envelope)
    function = worker.functions.get(envelope.function)
    if function is None:
        return unknown_function(worker, claim, envelope)
    if envelope.function in worker.paused_functions:  # which the claim could not read in the body
        again = GiveBack(claim, tries=claim.tries - 1, delay_ms=1000, shelf=envelope.function, why=Why.PAUSED)
        return Unrunnable(again, envelope, Outcome.HANDED_BACK)
    is_cron = hasattr(function, "next_run")
    ref = envelope.function if is_cron else f"{claim.job_id}:{envelope.function}"
    max_tries = worker.max_tries if function.max_tries is None else function.max_tries
    if envelope.tries > max_tries:
        arq_log.warning("%6.2fs ! %s max retries %d exceeded", age_s, ref, max_tries)
        spent = JobExecutionFailed(f"max {max_tries} retries exceeded")
        return doomed(worker, claim, envelope, spent, str(spent))
    return Job(claim, envelope, function, ref, max_tries)


def unknown_function(worker: Worker, claim: Claim, envelope: Envelope) -> Unrunnable:
    """Release a job whose function no worker here knows; once the grace is over, end it."""
    arq_log.warning("job %s, function %r not found", claim.job_id, envelope.function)
    error = JobExecutionFailed(f"function {envelope.function!r} not found")
    reason = f"no worker knows the function {envelope.function!r}"
    return _for_another(worker, claim, envelope, Why.UNKNOWN_FUNCTION, error, reason)


def _pickled(worker: Worker, claim: Claim, envelope: Envelope) -> Unrunnable:
    arq_log.warning("job %s: %s", claim.job_id, PICKLE_REFUSED)
    error, reason = JobExecutionFailed(PICKLE_REFUSED), f"the body cannot be read: {PICKLE_REFUSED}"
    return _for_another(worker, claim, envelope, Why.PICKLE_REFUSED, error, reason)


def _for_another(
    worker: Worker, claim: Claim, envelope: Envelope, why: Why, error: Exception, reason: str
) -> Unrunnable:
    """Release a job that a worker of another version or other settings may run; once the grace is over, end it."""

    def ended() -> Unrunnable:
        return doomed(worker, claim, envelope, error, reason)

    grace_s = worker.options.unknown_function_grace_s
    if worker.burst or grace_s <= 0:
        return ended()
    pause_ms = int(min(grace_s / 5, 5.0) * 1000)
    again = GiveBack(claim, tries=claim.tries - 1, delay_ms=pause_ms, grace_ms=int(grace_s * 1000), why=why)
    return Unrunnable(again, envelope, Outcome.HANDED_BACK, after_grace=ended)


def _deadly(worker: Worker, claim: Claim) -> Unrunnable:
    envelope = empty_envelope(claim, plain_pickle=worker.speaks_pickle)
    if claim.aborted:
        return aborted(worker, claim, envelope)
    alone = worker.options.max_crashes
    arq_log.error("! %s:%s gave up, %d workers died running only this job", claim.job_id, envelope.function, alone)
    death = JobExecutionFailed(f"{alone} workers died running only this job")
    return doomed(worker, claim, envelope, death, str(death), crashes=claim.crashes)


def aborted(worker: Worker, claim: Claim, envelope: Envelope) -> Unrunnable:
    """End a job that its producer has aborted before its start."""
    error = asyncio.CancelledError()
    worker.jobs_failed += 1
    result = _failure(worker, claim, envelope, error)
    return Unrunnable(Finish(claim, **result), envelope, Outcome.ABORTED, error)


def doomed(
    worker: Worker,
    claim: Claim,
    envelope: Envelope,
    error: Exception,
    reason: str,
    *,
    name: str | None = None,
    crashes: int | None = None,
) -> Unrunnable:
    """Make a dead letter of a job that was not run."""
    worker.jobs_failed += 1
    attempt = AttemptError.of(error, attempt=claim.tries, worker=worker.worker_id)
    letter = Bury(
        claim,
        function=name or envelope.function,
        reason=reason.encode("utf-8", "backslashreplace").decode(),
        errors=error_list([attempt]),
        enqueued_ms=envelope.enqueued_ms or None,
        crashes=crashes,
        **_failure(worker, claim, envelope, error),
    )
    return Unrunnable(letter, envelope, Outcome.DEAD, error)


def _failure(worker: Worker, claim: Claim, envelope: Envelope, error: BaseException) -> dict[str, Any]:
    life_ms = result_life_ms(worker, None)
    now = timestamp_ms()
    result = result_bytes(worker, claim, envelope, error, success=False, start_ms=now, finished_ms=now)
    return {"result": result or b"", "life_ms": life_ms if result is not None else -1}
