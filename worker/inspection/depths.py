"""How deep each queue is, counted and never scanned."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.decoding import text
from worker.inspection.fleet import Fleet
from worker.inspection.leases import Lease
from worker.inspection.records import StoredCounts
from worker.inspection.shelves import MOST_SHELVES, shelves_in
from worker.inspection.sources import Sources

WINDOW: Final = 10_000
"""Running jobs are told from those that come due within a lease's time by looking at so many of both at most."""

LETTERS: Final = 1_000
"""Dead letters that are still in Redis, and are looked at for their queue."""


@dataclass(frozen=True, slots=True)
class QueueDepth:
    """One queue. `waiting` is `due` and `deferred` together; `parked` and `dead` are None while PostgreSQL is away.

    Jobs of a paused kind, once a claim has come upon them and put them on its shelf, count as deferred: `shelved` of
    them. `oldest_due_s` is for how long the first due job has been due. `dead` counts the letters of both servers.
    `running_silent` of the running jobs have the lease of a worker that does not beat. `running_is_estimate` says that
    `running` was taken from the live workers' records. What Redis would tell is None where the queue's key cannot be
    read.
    """

    queue: str
    waiting: int | None = None
    due: int | None = None
    deferred: int | None = None
    shelved: int | None = None
    running: int | None = None
    running_silent: int | None = None
    parked: int | None = None
    dead: int | None = None
    oldest_due_s: float | None = None
    next_due_s: float | None = None
    running_is_estimate: bool = False
    paused: str | None = None


async def queue_depths(
    sources: Sources, queues: Sequence[str], fleet: Fleet, stored: StoredCounts | None, now_ms: int
) -> list[QueueDepth]:
    """Every queue's depth. Two round trips, three while one is silent; Redis works more for more running jobs only."""
    # A claimed job's score is the end of its lease and a half: it stands in this window, and shows by its fraction.
    lease_ends_ms = now_ms + int(fleet.lease_s * 1000) + 1_000
    async with sources.redis.pipeline(transaction=False) as pipe:
        for queue in queues:
            pipe.zcard(queue)
            pipe.zcount(queue, "-inf", now_ms)
            pipe.zrange(queue, 0, 0, withscores=True)
            pipe.zrangebyscore(queue, f"({now_ms}", lease_ends_ms, start=0, num=WINDOW, withscores=True)
            pipe.zrangebyscore(queue, f"({lease_ends_ms}", f"({keys.SHELVES_FROM_MS}", start=0, num=1, withscores=True)
            pipe.hscan(keys.SHELVES_PREFIX + queue, 0, count=MOST_SHELVES)
        answers = await sources.answers(pipe)
    cards = [sources.gaps.value(queue, answers[6 * number], None) for number, queue in enumerate(queues)]
    readable = [number for number, card in enumerate(cards) if card is not None]
    windows = [
        [each for each, score in answers[6 * number + 3] if score != math.floor(score)] if number in readable else []
        for number in range(len(queues))
    ]
    silent = await _silent(sources, fleet, windows)
    shelved = await _shelved(sources, [(queues[number], answers[6 * number + 5]) for number in readable])
    letters = await _letters(sources)
    depths = []
    for number, queue in enumerate(queues):
        pause = fleet.pause_of("queue", queue)
        parked = None if stored is None else stored.parked.get(queue, 0)
        dead = None if stored is None else letters[queue] + stored.dead.get(queue, 0)
        if number not in readable:
            depths.append(QueueDepth(queue, parked=parked, dead=dead, paused=pause.reason if pause else None))
            continue
        card, due, first, window, later, _ = answers[6 * number : 6 * number + 6]
        running, ahead = _running(window)
        is_estimate = len(window) == WINDOW
        if is_estimate:
            running = min(sum(worker.running for worker in fleet.alive if queue in worker.queues), card - due)
        ahead += [score for _, score in later]
        depths.append(
            QueueDepth(
                queue=queue,
                waiting=card - running,
                due=due,
                deferred=card - due - running,
                shelved=shelved[queue],
                running=running,
                running_silent=0 if is_estimate else silent[number],
                parked=parked,
                dead=dead,
                oldest_due_s=_age_s(first, now_ms),
                next_due_s=(min(ahead) - now_ms) / 1000 if ahead and math.isfinite(min(ahead)) else None,
                running_is_estimate=is_estimate,
                paused=pause.reason if pause else None,
            )
        )
    return depths


async def _shelved(sources: Sources, found: Sequence[tuple[str, Any]]) -> Counter[str]:
    """How many jobs of each queue are on shelves. Asks only while there are some."""
    bands = [(queue, band) for queue, values in found for band in shelves_in(sources.gaps, queue, values)]
    if not bands:
        return Counter()
    async with sources.redis.pipeline(transaction=False) as pipe:
        for queue, (begin, end) in bands:
            pipe.zcount(queue, begin, f"({end}")
        numbers = await sources.answers(pipe)
    counted = Counter[str]()
    for (queue, _), number in zip(bands, numbers, strict=True):
        counted[queue] += sources.gaps.value(queue, number, 0)
    return counted


def _running(window: list[tuple[bytes, float]]) -> tuple[int, list[float]]:
    deferred = [score for _, score in window if score == math.floor(score)]
    return len(window) - len(deferred), deferred[:1]


def _age_s(first: list[tuple[bytes, float]], now_ms: int) -> float | None:
    if not first or first[0][1] > now_ms or not math.isfinite(first[0][1]):
        return None
    return (now_ms - first[0][1]) / 1000


async def _silent(sources: Sources, fleet: Fleet, claimed: list[list[bytes]]) -> list[int]:
    """How many of each queue's claimed jobs a silent worker holds. Asks only while one is silent."""
    missed = {worker.id for worker in fleet.workers if worker.silent}
    if not any(claimed) or not missed:
        return [0] * len(claimed)
    async with sources.redis.pipeline(transaction=False) as pipe:
        for job_ids in filter(None, claimed):
            pipe.mget([keys.IN_PROGRESS_PREFIX.encode() + job_id for job_id in job_ids])
        answers = iter(await sources.answers(pipe))
    return [sum(_is_held_by(missed, lease) for lease in next(answers)) if each else 0 for each in claimed]


def _is_held_by(workers: set[str], lease: bytes | None) -> bool:
    return lease is not None and Lease.read(lease, None).worker in workers


async def _letters(sources: Sources) -> Counter[str]:
    """Letters that nobody has moved to PostgreSQL yet, by queue; beyond `LETTERS` they count for the newest's queue."""
    page = await sources.asked(sources.redis.zrevrange(keys.DEAD_LETTERS, 0, LETTERS - 1))
    newest: list[bytes] = sources.gaps.value(keys.DEAD_LETTERS, page, [])
    if not newest:
        return Counter()
    async with sources.redis.pipeline(transaction=False) as pipe:
        for job_id in newest:
            pipe.hget(keys.DEAD_LETTER_PREFIX.encode() + job_id, "queue")
        pipe.zcard(keys.DEAD_LETTERS)
        *queues, number = await sources.answers(pipe)
    names = []
    for job_id, queue in zip(newest, queues, strict=True):
        if queue is not None:
            names.append(sources.gaps.value(keys.DEAD_LETTER_PREFIX.encode() + job_id, text(queue), ""))
    counted = Counter[str](names)
    if names and number > LETTERS:
        counted[names[0]] += number - LETTERS
    return counted
