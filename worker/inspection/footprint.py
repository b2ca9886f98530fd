"""What Redis holds of one job."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec

from noteflow.domain.errors import Refused
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.codec import deserialize
from noteflow.infrastructure.queue.failures import describe
from worker.inspection.fleet import Fleet, read_fleet
from worker.inspection.leases import Lease
from worker.inspection.letters import AttemptTold, attempts_told
from worker.inspection.masking import masked
from worker.inspection.sources import Sources, moment


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

    `handed_back` is kept for a day, also after the job's end.
    """

    now: datetime | None
    place: Place | None
    lease: Lease | None
    has_payload: bool
    payload_expires_in_s: float | None
    tries: int
    crashes: int
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
    """What Redis holds of a job, and the fleet. A handful of round trips. Raises RedisAway."""
    now_ms = await sources.now_ms()
    fleet = await read_fleet(sources, now_ms)
    key = job_id.encode("utf-8", "surrogateescape")
    queues = fleet.queues(sources.queue_name)
    async with sources.redis.pipeline(transaction=False) as pipe:
        for name in (keys.JOB_PREFIX, keys.IN_PROGRESS_PREFIX, keys.RESULT_PREFIX):
            pipe.get(name.encode() + key)
            pipe.pttl(name.encode() + key)
        for name in (keys.RETRY_PREFIX, keys.CRASHES_PREFIX, keys.UNKNOWN_PREFIX):
            pipe.get(name.encode() + key)
        pipe.lrange(keys.ERRORS_PREFIX.encode() + key, 0, -1)
        pipe.hgetall(keys.HANDED_BACK_PREFIX.encode() + key)
        pipe.zscore(keys.ABORT, key)
        for queue in queues:
            pipe.zscore(queue, key)
            pipe.zrank(queue, key)
        told = [
            None if isinstance(each, Exception) else each
            for each in await sources.answer(pipe.execute(raise_on_error=False))
        ]
    body, body_ms, owner, owner_ms, result, result_ms, tries, crashes, unknown, errors, returns, abort, *places = told
    return Footprint(
        now=moment(now_ms),
        place=_place(queues, places, now_ms),
        lease=None if owner is None else Lease.read(owner, _seconds(owner_ms)),
        has_payload=body is not None,
        payload_expires_in_s=_seconds(body_ms),
        tries=_number(tries),
        crashes=_number(crashes),
        attempts=attempts_told(list(_objects(errors or [])), reveal=reveal),
        handed_back=_returns(returns or {}),
        unknown_since=moment(_number(unknown)) if unknown else None,
        is_marked_for_abort=abort is not None,
        result=None if result is None else _result(result, _seconds(result_ms), reveal),
        body=body,
    ), fleet


def _place(queues: Sequence[str], places: Sequence[Any], now_ms: int) -> Place | None:
    for number, queue in enumerate(queues):
        score, rank = places[2 * number : 2 * number + 2]
        if score is not None and rank is not None:
            claimed = math.isfinite(score) and score != math.floor(score)
            shelved = keys.SHELVES_FROM_MS <= score < math.inf
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
        error = describe(said) if reveal else type(said).__name__
    told: dict[str, Any] = said if isinstance(said, dict) else {}
    return KeptResult(
        success=message.get("s") is True,
        outcome=told.get("outcome"),
        error=error,
        started_at=moment(message.get("st")),
        finished_at=moment(message.get("ft")),
        expires_in_s=expires_in_s,
        detail=told.get("detail") if reveal else masked(told.get("detail")),
    )


def _returns(told: dict[bytes, bytes]) -> list[HandedBack]:
    reasons = [name.removeprefix(b"n:") for name in told if name.startswith(b"n:")]
    found = []
    for reason in sorted(reasons):
        last, worker = told.get(b"at:" + reason), told.get(b"by:" + reason)
        found.append(
            HandedBack(
                reason.decode("utf-8", "replace"),
                _number(told[b"n:" + reason]),
                moment(_number(last)) if last else None,
                worker.decode("utf-8", "replace") if worker else None,
            )
        )
    return found


def _objects(entries: Sequence[bytes]) -> Iterator[dict[str, Any]]:
    for entry in entries:
        with suppress(msgspec.DecodeError):  # whatever is not an attempt was written by somebody else
            yield msgspec.json.decode(entry, type=dict[str, Any])


def _seconds(life_ms: int | None) -> float | None:
    return life_ms / 1000 if life_ms is not None and life_ms >= 0 else None


def _number(value: bytes | None) -> int:
    return int(value) if value and value.isdigit() else 0
