"""Write down with which worker a job was lost, as far as that worker had told that it ran it.

A worker that dies says nothing. But its last record names its running jobs and outlives its leases, so whoever has the
job next can still read there who had it before. Costs nothing unless a worker has died with a job.
"""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Annotated, Any, Final, TypedDict

import msgspec

from noteflow.infrastructure.queue import keys
from worker.engine.log import Log
from worker.engine.patience import patience
from worker.engine.verdicts import AttemptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.engine.claims import Claim
    from worker.engine.worker import Worker

logger = Log("worker.engine")

_KEPT: Final = 20
_MOST_WORKERS: Final = 1_000
_LONGEST_RECORD: Final = 100_000


class Record(TypedDict):
    """What is needed of a worker's record, see `Health.record`."""

    id: Annotated[str, msgspec.Meta(max_length=1_000)]
    seen: Annotated[float, msgspec.Meta(ge=0, le=1e11)]
    lease_s: Annotated[float, msgspec.Meta(gt=0, le=1e6)]
    queues: list[str]
    running: list[str]


class WorkerDied(Exception):
    """Stand among a job's errors for a worker whose lease ran out while it had the job."""


async def note_lost_with(worker: Worker, claim: Claim) -> None:
    """Add to the job's errors with which worker it was lost, or which it may have been, or that this is not known.

    In Redis, where its dead letter would find them, and in the claim.
    """
    try:
        async with patience(worker.options.command_timeout_s):
            records = await _records(worker.pool, but_for=worker.worker_id)
            now_s = time.time()
            loss = loss_of(claim.job_id, worker.queues[claim.queue - 1], records, now_s)
            if claim.crashes < worker.options.suspicion:  # it was not put off since
                loss = replace(loss, at_ms=last_sign_of_life_ms(claim, loss.worker, records, worker.options.lease_s))
            claim.errors = (*claim.errors, loss)
            key: Any = keys.ERRORS_PREFIX.encode() + claim.key  # an id may be no text
            async with worker.pool.pipeline(transaction=True) as pipe:
                pipe.rpush(key, msgspec.json.encode(loss.as_dict()))
                pipe.ltrim(key, -_KEPT, -1)
                pipe.expire(key, keys.RETRY_LIFE_S)
                await pipe.execute()
    except Exception as error:  # information for people must not cost the job a run
        logger.warning("with which worker %s was lost could not be written down: %s", claim.job_id, error)


def last_sign_of_life_ms(claim: Claim, lost_with: str | None, records: Sequence[Record], lease_s: float) -> int:
    """Tell when the lost worker last claimed or renewed the job (unix ms): its death came within the third of a lease.

    The job's score was the end of that lease, as long as the lost worker's own record says, or else as ours is.
    """
    own_s = next((record["lease_s"] for record in records if record["id"] == lost_with), lease_s)
    return claim.score - int(own_s * 1000)


def loss_of(job_id: str, queue: str, records: Sequence[Record], now_s: float) -> AttemptError:
    """Tell of the worker that named the job as running; or of those that have been silent for as long as a lease."""
    having = [record for record in records if job_id in record["running"]]
    if having:
        last = max(having, key=lambda record: float(record["seen"]))
        return _told("its lease ran out while it ran this job: it died, or was cut off", last)
    # It had claimed the job since its last beat. Beats and renewals come from one thread, so it has not beaten since.
    silent = [each for each in records if queue in each["queues"] and now_s - each["seen"] >= each["lease_s"]]
    if len(silent) == 1:
        return _told("its lease of this job ran out, as it seems, for nobody else is silent", silent[0])
    names = ", ".join(sorted(str(record["id"]) for record in silent))
    return AttemptError.of(
        WorkerDied(f"the lease of one of these ran out: {names}" if names else "a lease ran out, it is not known whose")
    )


def _told(sentence: str, record: Record) -> AttemptError:
    return AttemptError.of(WorkerDied(sentence), worker=str(record["id"]))


async def _records(pool: Any, *, but_for: str) -> list[Record]:
    names = await pool.zrevrange(keys.WORKERS, 0, _MOST_WORKERS - 1)
    async with pool.pipeline(transaction=False) as pipe:
        for name in names:
            pipe.getrange(keys.WORKER_PREFIX.encode() + name, 0, _LONGEST_RECORD)
        found = await pipe.execute(raise_on_error=False)
    records = []
    for each in found:
        with suppress(msgspec.DecodeError, TypeError):  # of another type, cut, or written by someone else
            records.append(msgspec.json.decode(each, type=Record))
    return [record for record in records if record["id"] != but_for]
