"""What Redis holds of one job."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from noteflow.domain.errors import Refused
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.codec import deserialize
from noteflow.infrastructure.queue.decoding import Gaps, integer, moment_of_ms
from noteflow.infrastructure.queue.failures import describe
from noteflow.infrastructure.queue.payload import LONGEST_READ
from worker.inspection.fleet import Fleet, read_fleet
from worker.inspection.leases import Lease
from worker.inspection.letters import MOST_ERRORS, AttemptTold, attempts_told
from worker.inspection.masking import masked, revealed
from worker.inspection.shelves import MOST_SHELVES, is_shelved, shelves_in
from worker.inspection.sources import Sources, moment

_MOST_REASONS: Final = 100
_ABSENT: Final = -2
"""PTTL of a key that is not there."""


@dataclass(frozen=True, slots=True)
class Place:
    """A job's place in a queue. `due_at` is when its turn begins; of a claimed job, when its lease ends.

    `was_claimed` says that a claim left it there, `is_shelved` that its kind was paused when its turn
    came; `before_it` counts the jobs with an earlier turn.
    """

    queue: str
    due_at: datetime | None
    is_due: bool
    was_claimed: bool
    is_shelved: bool
    before_it: int


@dataclass(frozen=True, slots=True)
class KeptResult:
    """How a run ended, as Arq keeps it for a while."""

    success: bool
    outcome: str | None
    error: str | None
    started_at: datetime | None
    finished_at: datetime | None
    expires_in_s: float | None
    detail: Any


@dataclass(frozen=True, slots=True)
class HandedBack:
    """How often a job was handed back for one reason, at no cost to it; when last, and by which worker."""

    reason: str
    times: int
    last_at: datetime | None
    worker: str | None


@dataclass(frozen=True, slots=True)
class Footprint:
    """One job in Redis. `tries` were begun; `attempts` are those that failed and were told of, oldest first.

    `tries` and `crashes` are None where they cannot be read. `handed_back` is kept for a day, also after the job's end.
    """

    now: datetime | None
    place: Place | None
    lease: Lease | None
    has_payload: bool
    payload_expires_in_s: float | None
    tries: int | None
    crashes: int | None
    attempts: list[AttemptTold]
    handed_back: list[HandedBack]
    unknown_since: datetime | None
    is_marked_for_abort: bool
    result: KeptResult | None
    body: bytes | None

    @property
    def is_anything(self) -> bool:
        """Whether there is more than a leftover of a job."""
        return bool(self.place or self.lease or self.has_payload or self.result)


async def read_footprint(sources: Sources, job_id: str, *, reveal: bool = False) -> tuple[Footprint, Fleet]:
    """What Redis holds of a job, and the fleet. A handful of round trips. Raises RedisAway.

    What cannot be read is None, and in `sources.gaps`.
    """
    now_ms = await sources.now_ms()
    fleet = await read_fleet(sources, now_ms)
    key = job_id.encode("utf-8", "surrogateescape")
    queues = fleet.queues(sources.queue_name)
    async with sources.redis.pipeline(transaction=False) as pipe:
        for name in (keys.JOB_PREFIX, keys.IN_PROGRESS_PREFIX, keys.RESULT_PREFIX):
            pipe.getrange(name.encode() + key, 0, LONGEST_READ)
            pipe.pttl(name.encode() + key)
        for name in (keys.RETRY_PREFIX, keys.CRASHES_PREFIX, keys.UNKNOWN_PREFIX):
            pipe.get(name.encode() + key)
        pipe.lrange(keys.ERRORS_PREFIX.encode() + key, -MOST_ERRORS, -1)
        pipe.hscan(keys.HANDED_BACK_PREFIX.encode() + key, 0, count=_MOST_REASONS)
        pipe.zscore(keys.ABORT, key)
        for queue in queues:
            pipe.zscore(queue, key)
            pipe.zrank(queue, key)
            pipe.hscan(keys.SHELVES_PREFIX + queue, 0, count=MOST_SHELVES)
        told = await sources.answers(pipe)
    body, body_ms, owner, owner_ms, result, result_ms, tries, crashes, unknown, errors, returns, abort, *places = told
    read = _Reader(sources.gaps, job_id)
    body, owner, result = (
        read.whole(name, value, life_ms)
        for name, value, life_ms in (
            (keys.JOB_PREFIX, body, body_ms),
            (keys.IN_PROGRESS_PREFIX, owner, owner_ms),
            (keys.RESULT_PREFIX, result, result_ms),
        )
    )
    return Footprint(
        now=moment(now_ms),
        place=_place(sources.gaps, queues, places, now_ms),
        lease=None if owner is None else Lease.read(owner, _seconds(owner_ms)),
        has_payload=body_ms != _ABSENT,
        payload_expires_in_s=_seconds(body_ms),
        tries=read.number(keys.RETRY_PREFIX, tries),
        crashes=read.number(keys.CRASHES_PREFIX, crashes),
        attempts=attempts_told(read.value(keys.ERRORS_PREFIX, errors, []), reveal=reveal),
        handed_back=_returns(read, sources.gaps.page(keys.HANDED_BACK_PREFIX + job_id, returns)),
        unknown_since=None if unknown is None else read.value(keys.UNKNOWN_PREFIX, moment_of_ms(unknown), None),
        is_marked_for_abort=sources.gaps.value(keys.ABORT, abort, None) is not None,
        result=None if result is None else _result(result, _seconds(result_ms), reveal),
        body=body,
    ), fleet


class _Reader:
    """Reads the keys of one job; what cannot be read is None, and noted."""

    def __init__(self, gaps: Gaps, job_id: str) -> None:
        self._gaps = gaps
        self._job_id = job_id

    def value(self, prefix: str, decoded: Any, default: Any) -> Any:
        return self._gaps.value(prefix + self._job_id, decoded, default)

    def number(self, prefix: str, raw: Any) -> int | None:
        return 0 if raw is None else self.value(prefix, integer(raw), None)

    def whole(self, prefix: str, raw: Any, life_ms: int) -> bytes | None:
        """A text, if it is there and not too long."""
        found: bytes | None = self.value(prefix, raw, None)
        if found is None or (not found and life_ms == _ABSENT):
            return None
        if len(found) > LONGEST_READ:
            self._gaps.add(prefix + self._job_id, f"longer than {LONGEST_READ:,} bytes")
            return None
        return found


def _place(gaps: Gaps, queues: Sequence[str], places: Sequence[Any], now_ms: int) -> Place | None:
    for number, queue in enumerate(queues):
        score, rank, page = places[3 * number : 3 * number + 3]
        score = gaps.value(queue, score, None)
        if score is not None and isinstance(rank, int):
            claimed = math.isfinite(score) and score != math.floor(score)
            shelved = is_shelved(score, shelves_in(gaps, queue, page))
            return Place(queue, moment(score), score <= now_ms, claimed, shelved, rank)
    return None


def _result(raw: bytes, expires_in_s: float | None, reveal: bool) -> KeptResult:
    try:
        message = deserialize(raw, allow_pickle=True)
    except Refused as refusal:
        return KeptResult(False, None, f"the result cannot be read: {refusal}", None, None, expires_in_s, None)
    said = message.get("r")
    error = None
    if isinstance(said, BaseException):
        error = _described(said) if reveal else type(said).__name__
    told: dict[str, Any] = said if isinstance(said, dict) else {}
    outcome = told.get("outcome")
    return KeptResult(
        success=message.get("s") is True,
        outcome=outcome if isinstance(outcome, str) else None,
        error=error,
        started_at=moment(message.get("st")),
        finished_at=moment(message.get("ft")),
        expires_in_s=expires_in_s,
        detail=revealed(told.get("detail")) if reveal else masked(told.get("detail")),
    )


def _described(error: BaseException) -> str:
    # What it was given may hold itself, or double each level: only what is flat is put into words.
    if all(isinstance(each, str | int | float | bool | None) for each in error.args):
        return describe(error)
    return f"{type(error).__name__}: unreadable"


def _returns(read: _Reader, told: dict[bytes, bytes]) -> list[HandedBack]:
    reasons = [name.removeprefix(b"n:") for name in told if name.startswith(b"n:")]
    found = []
    for reason in sorted(reasons):
        last, worker = told.get(b"at:" + reason), told.get(b"by:" + reason)
        found.append(
            HandedBack(
                reason.decode("utf-8", "backslashreplace"),
                read.number(keys.HANDED_BACK_PREFIX, told[b"n:" + reason]) or 0,
                None if last is None else read.value(keys.HANDED_BACK_PREFIX, moment_of_ms(last), None),
                worker.decode("utf-8", "backslashreplace") if worker else None,
            )
        )
    return found


def _seconds(life_ms: int | None) -> float | None:
    return life_ms / 1000 if isinstance(life_ms, int) and life_ms >= 0 else None
