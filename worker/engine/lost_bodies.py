"""Find the body of a claimed job elsewhere when Redis has lost it: it was deleted, evicted or overwritten."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from noteflow.infrastructure.queue.codec import HEAD_BYTES
from worker.engine.claims import GiveBack, TooLong
from worker.engine.ending import Outcome
from worker.engine.envelope import empty_envelope
from worker.engine.job import Unrunnable
from worker.engine.log import Log
from worker.engine.verdicts import HandBack

if TYPE_CHECKING:
    from worker.engine.claims import Claim
    from worker.engine.worker import Worker

logger = Log("worker.engine")

_PAUSE_S: Final = 1.0
_LONGEST_PAUSE_S: Final = 30.0


async def find_lost_body(worker: Worker, claim: Claim) -> Unrunnable | None:
    """Give the claim the body that the application keeps; return how the job ends if that cannot be known now.

    A job whose body nothing keeps stays without one, and one that is too long is not run: `examine` makes a dead letter
    of it.
    """
    find = worker.options.find_body
    if claim.body is not None or find is None or not claim.is_text:
        return None
    try:
        body = await find(worker.ctx, claim.job_id)
    except HandBack as error:
        return _handed_back(worker, claim, error)
    except Exception as error:
        # Not a dead letter: its body may be safe, and the next claim may find it.
        logger.exception("could not look for the body of job %s", claim.job_id)
        return _handed_back(worker, claim, HandBack(_PAUSE_S, type(error).__name__, longest_s=_LONGEST_PAUSE_S))
    if body is not None:
        _take(worker, claim, body)
    return None


def _take(worker: Worker, claim: Claim, body: bytes) -> None:
    """Let the claim have a body that was kept, instead of whatever stands in Redis."""
    if len(body) > worker.options.max_body_bytes:
        claim.too_long = claim.too_long or TooLong(len(body), body[:HEAD_BYTES])
    else:
        claim.body, claim.misshapen, claim.too_long = body, False, None


def _handed_back(worker: Worker, claim: Claim, error: HandBack) -> Unrunnable:
    again = GiveBack(
        claim,
        tries=claim.tries - 1,
        delay_ms=int(error.delay_s * 1000),
        why=str(error)[:100],
        longest_ms=None if error.longest_s is None else int(error.longest_s * 1000),
    )
    return Unrunnable(again, empty_envelope(claim, plain_pickle=worker.speaks_pickle), Outcome.HANDED_BACK)
