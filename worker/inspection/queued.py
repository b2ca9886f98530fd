"""The jobs in a queue, page by page from its head."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from noteflow.infrastructure.queue import keys
from worker.inspection.choice import Choice, JobState
from worker.inspection.fleet import Fleet
from worker.inspection.leases import Lease
from worker.inspection.masking import masked_message
from worker.inspection.payloads import Head, heads
from worker.inspection.sources import Sources, moment

PAGE: Final = 500
QUEUE_STATES: Final = frozenset({JobState.RUNNING, JobState.DUE, JobState.DEFERRED})


@dataclass(slots=True)
class Budget:
    """How many waiting jobs may be looked at, and have been."""

    look: int
    looked_at: int = 0
    spent: bool = False

    @property
    def left(self) -> int:
        """How many more may be looked at."""
        return self.look - self.looked_at


async def find_queued(
    sources: Sources, queue: str, state: JobState, choice: Choice, fleet: Fleet, budget: Budget, limit: int
) -> AsyncIterator[dict[str, Any]]:
    """The fields of a `JobRow` for each job of the choice that is in the queue in this state."""
    now_ms = await sources.now_ms()
    low, high = _range(state, now_ms, fleet)
    page_size = min(limit, PAGE) if choice.is_everything else PAGE
    offset = 0
    while True:
        if not budget.left:
            budget.spent |= await sources.answer(sources.redis.zcount(queue, low, high)) > offset
            return
        asked = min(page_size, budget.left)
        page = await sources.answer(
            sources.redis.zrangebyscore(queue, low, high, start=offset, num=asked, withscores=True)
        )
        budget.looked_at += len(page)
        offset += len(page)
        wanted = [
            (job_id, score) for job_id, score in page if _is(state, score, now_ms) and _in_time(choice, state, score)
        ]
        for row in await _rows(sources, queue, state, choice, wanted):
            yield row
        if len(page) < asked:
            return


def _range(state: JobState, now_ms: int, fleet: Fleet) -> tuple[str | int, str | int]:
    match state:
        case JobState.DUE:
            return "-inf", now_ms
        case JobState.RUNNING:
            return f"({now_ms}", now_ms + int(fleet.lease_s * 1000) + 1_000
        case _:
            return f"({now_ms}", "+inf"


def _is(state: JobState, score: float, now_ms: int) -> bool:
    parked = math.isfinite(score) and score != math.floor(score)
    return {JobState.DUE: score <= now_ms, JobState.RUNNING: parked, JobState.DEFERRED: not parked}[state]


def _in_time(choice: Choice, state: JobState, score: float) -> bool:
    return state is JobState.RUNNING or choice.admits_time(moment(score))


async def _rows(
    sources: Sources, queue: str, state: JobState, choice: Choice, page: Sequence[tuple[bytes, float]]
) -> list[dict[str, Any]]:
    found = await heads(sources, [job_id for job_id, _ in page]) if page else []
    admitted = [(each, head) for each, head in zip(page, found, strict=True) if choice.admits_head(head)]
    if not admitted:
        return []
    async with sources.redis.pipeline(transaction=False) as pipe:
        for (job_id, _), _ in admitted:
            pipe.get(keys.IN_PROGRESS_PREFIX.encode() + job_id)
            pipe.get(keys.RETRY_PREFIX.encode() + job_id)
            pipe.strlen(keys.JOB_PREFIX.encode() + job_id)
            pipe.lrange(keys.ERRORS_PREFIX.encode() + job_id, -1 if choice.error is None else 0, -1)
        told = await sources.answer(pipe.execute(raise_on_error=False))
    rows = []
    for place, ((job_id, score), head) in enumerate(admitted):
        owner, tries, size, errors = (_sound(each) for each in told[4 * place : 4 * place + 4])
        if choice.error is not None and not any(choice.error.encode() in each for each in errors or ()):
            continue
        # Stock Arq leaves the score of a job it runs where it was.
        really = JobState.RUNNING if owner else state
        rows.append(_row(job_id, really, head, queue, score, owner, tries, size, errors or []))
    return rows


def _sound(answer: Any) -> Any:
    return None if isinstance(answer, Exception) else answer


def _row(
    job_id: bytes,
    state: JobState,
    head: Head | None,
    queue: str,
    score: float,
    owner: bytes | None,
    tries: bytes | None,
    size: int | None,
    errors: list[bytes],
) -> dict[str, Any]:
    lease = None if owner is None else Lease.read(owner, None)
    return {
        "job_id": job_id.decode("utf-8", "surrogateescape"),
        "state": state,
        "kind": head.kind if head else None,
        "meeting_id": head.meeting_id if head else None,
        "queue": queue,
        "at": (lease and lease.since) if state is JobState.RUNNING else moment(score),
        "tries": int(tries) if tries and tries.isdigit() else 0,
        "size_bytes": size,
        "worker": lease and lease.worker,
        "detail": _detail(state, head, owner, errors, score),
    }


def _detail(state: JobState, head: Head | None, owner: bytes | None, errors: list[bytes], score: float) -> str | None:
    if state is JobState.RUNNING and owner is None:
        return "its lease is over, it comes due again within seconds"
    paused = "its kind is paused, or was until now" if score >= keys.SHELVES_FROM_MS else None
    return _last_error(errors) or ("its payload is missing" if head is None else paused)


def _last_error(errors: list[bytes]) -> str | None:
    if not errors:
        return None
    try:
        told = msgspec.json.decode(errors[-1])
        return f"{told['error'].rpartition('.')[2]}: {masked_message(told['error'], told['message'])}"
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return None
