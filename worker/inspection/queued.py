"""The jobs in a queue, page by page from its head."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.decoding import Gap, Gaps, Unreadable, document, integer
from worker.inspection.choice import Choice, JobState
from worker.inspection.fleet import Fleet
from worker.inspection.leases import Lease
from worker.inspection.letters import MOST_ERRORS, AttemptForm
from worker.inspection.masking import masked_message
from worker.inspection.payloads import Head, head_in_id, heads
from worker.inspection.shelves import MOST_SHELVES, is_shelved, shelves_in
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
        found = sources.redis.zrangebyscore(queue, low, high, start=offset, num=asked, withscores=True)
        page: list[tuple[bytes, float]] = sources.gaps.value(queue, await sources.asked(found), [])
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
    admitted = [
        (each, head)
        for each, head in zip(page, found, strict=True)
        if choice.admits_head(head or head_in_id(_text(each[0])))
    ]
    if not admitted:
        return []
    async with sources.redis.pipeline(transaction=False) as pipe:
        for (job_id, _), _ in admitted:
            pipe.get(keys.IN_PROGRESS_PREFIX.encode() + job_id)
            pipe.get(keys.RETRY_PREFIX.encode() + job_id)
            pipe.strlen(keys.JOB_PREFIX.encode() + job_id)
            pipe.lrange(keys.ERRORS_PREFIX.encode() + job_id, -1 if choice.error is None else -MOST_ERRORS, -1)
        pipe.hscan(keys.SHELVES_PREFIX + queue, 0, count=MOST_SHELVES)
        *told, page_of_shelves = await sources.answers(pipe)
    shelves = shelves_in(sources.gaps, queue, page_of_shelves)
    rows = []
    for place, ((job_id, score), head) in enumerate(admitted):
        gaps, (owner, tries, size, errors) = Gaps(), told[4 * place : 4 * place + 4]
        kept = _Kept(
            owner=gaps.value(keys.IN_PROGRESS_PREFIX.encode() + job_id, owner, None),
            tries=0 if tries is None else gaps.value(keys.RETRY_PREFIX.encode() + job_id, integer(tries), None),
            size_bytes=gaps.value(keys.JOB_PREFIX.encode() + job_id, size, None),
            errors=gaps.value(keys.ERRORS_PREFIX.encode() + job_id, errors, []),
            is_shelved=is_shelved(score, shelves),
            unreadable=gaps.found,
        )
        if choice.error is not None and not any(_bytes(choice.error) in each for each in kept.errors):
            continue
        # Stock Arq leaves the score of a job it runs where it was.
        really = JobState.RUNNING if kept.owner else state
        rows.append(_row(job_id, really, head, queue, score, kept))
    return rows


def _bytes(words: str) -> bytes:
    return words.encode("utf-8", "surrogateescape")


def _text(job_id: bytes) -> str:
    return job_id.decode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class _Kept:
    """What Redis holds of a job beside its place."""

    owner: bytes | None
    tries: int | None
    size_bytes: int | None
    errors: list[bytes]
    is_shelved: bool
    unreadable: list[Gap]


def _row(job_id: bytes, state: JobState, head: Head | None, queue: str, score: float, kept: _Kept) -> dict[str, Any]:
    lease = None if kept.owner is None else Lease.read(kept.owner, None)
    known = head or head_in_id(_text(job_id))
    return {
        "job_id": _text(job_id),
        "state": state,
        "kind": known.kind,
        "meeting_id": known.meeting_id,
        "queue": queue,
        "at": (lease and lease.since) if state is JobState.RUNNING else moment(score),
        "tries": kept.tries,
        "size_bytes": kept.size_bytes,
        "worker": lease and lease.worker,
        "detail": _detail(state, head, kept),
    }


def _detail(state: JobState, head: Head | None, kept: _Kept) -> str | None:
    if kept.unreadable:
        return f"unreadable: {'; '.join(f'{each.place} {each.why}' for each in kept.unreadable)}"
    if state is JobState.RUNNING and kept.owner is None:
        return "its lease is over, it comes due again within seconds"
    paused = "its kind is paused, or was until now" if kept.is_shelved else None
    return _last_error(kept.errors) or ("its payload is missing" if head is None else paused)


def _last_error(errors: list[bytes]) -> str | None:
    if not errors:
        return None
    last = document(errors[-1], AttemptForm)
    if isinstance(last, Unreadable):
        return f"unreadable: the last error: {last.why}"
    return f"{last.error.rpartition('.')[2]}: {masked_message(last.error, last.message)}"
