"""Run one claimed job, as one task, from its body to its ending; whatever it does, it has one."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Any, Final

from arq.utils import timestamp_ms

from worker.engine.attempt import attempt_job
from worker.engine.claims import Bury, Claim, Finish, GiveBack, Settlement, Status
from worker.engine.ending import Ending, Outcome
from worker.engine.job import Job, Unrunnable, examine
from worker.engine.log import Log
from worker.engine.losses import note_lost_with
from worker.engine.lost_bodies import find_lost_body
from worker.engine.outcome import conclude

if TYPE_CHECKING:
    from worker.engine.attempt import Attempt
    from worker.engine.envelope import Envelope
    from worker.engine.worker import Worker

logger = Log("worker.engine")

_PAUSE_MS: Final = 1_000


async def run_claim(worker: Worker, claim: Claim) -> None:
    """Run the claimed job and record its ending; return when both are done. Raises nothing but a loop's end."""
    if claim.crashes:
        await note_lost_with(worker, claim)
    examined = await find_lost_body(worker, claim) or examine(worker, claim)
    if isinstance(examined, Unrunnable):
        worker.runs.release_slot(claim)
        await _end_unrun(worker, claim, examined)
        return
    attempt = await attempt_job(worker, examined)
    settlement, outcome = _concluded(worker, examined, attempt)
    worker.runs.release_slot(claim)
    if worker.on_job_end:
        await _hook(worker.on_job_end, attempt.ctx, examined.ref)
    if settlement is not None:
        outcome = await _settle(worker, settlement, outcome)
    if worker.after_job_end:
        await _hook(worker.after_job_end, attempt.ctx, examined.ref)
    _tell(worker, claim, examined.envelope, outcome, attempt.start_ms, attempt.error, settlement)


def _concluded(worker: Worker, job: Job, attempt: Attempt) -> tuple[Settlement | None, Outcome]:
    """Return how the job ends; if that cannot be written down, the plainest form of it.

    Without an ending the lease would run out, and a job that has succeeded would in time be a dead letter.
    """
    try:
        return conclude(worker, job, attempt)
    except Exception as error:
        logger.exception("the ending of %s cannot be written down, it is recorded without details", job.ref)
        claim, tries = job.claim, job.envelope.tries
        if attempt.error is None:
            return Finish(claim), Outcome.COMPLETE
        if tries < job.max_tries:
            return GiveBack(claim, tries=tries, delay_ms=_PAUSE_MS), Outcome.RETRIED
        reason = f"its ending could not be written down: {type(error).__name__}"
        return Bury(claim, function=job.envelope.function, reason=reason), Outcome.DEAD


async def _end_unrun(worker: Worker, claim: Claim, unrunnable: Unrunnable) -> None:
    started_ms = timestamp_ms()
    outcome = await _settle(worker, unrunnable.settlement, unrunnable.outcome)
    if unrunnable.settlement.status is Status.GRACE_OVER and unrunnable.after_grace is not None:
        unrunnable = unrunnable.after_grace()
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
