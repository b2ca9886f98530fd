"""Whether Redis is still the one that the outbox's jobs were carried to, and what was done about it if it is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.decoding import integer, moment_of_ms
from worker.inspection.records import StoredCounts, read_counts
from worker.inspection.sources import Sources
from worker.inspection.words import since


@dataclass(frozen=True, slots=True)
class Mark:
    """What a relay left in Redis: its mark, if there is one, and whether that names the server that holds it."""

    is_there: bool
    is_right: bool
    noticed_at: datetime | None
    jobs: int


@dataclass(frozen=True, slots=True)
class RedisLoss:
    """Redis was emptied, or (`restarted`) it is another or has started anew, so it may lack what it was given.

    `noticed_at` is when a relay noticed it, None if none has yet; `jobs` of the outbox are looked at again because of
    it, and put back if they are missing; `left` of them are still to be looked at.
    """

    restarted: bool
    noticed_at: datetime | None
    jobs: int
    left: int


async def read_loss(sources: Sources) -> RedisLoss | None:
    """What of Redis's data was lost within the hour, as far as anybody can tell. Raises RedisAway."""
    return loss_in(await read_mark(sources), await read_counts(sources))


def uncounted(loss: RedisLoss, now: datetime) -> str:
    """What nobody can tell after that loss, in one sentence."""
    if loss.noticed_at is not None:
        what = f"Redis was emptied, restarted or replaced at {since(loss.noticed_at, now)}"
    else:
        what = f"Redis {'was restarted, or is another' if loss.restarted else 'was emptied'}"
    return f"{what}; jobs enqueued straight into it before then cannot be counted: only their producers can repeat them"


async def read_mark(sources: Sources) -> Mark:
    """One round trip. Raises RedisAway."""
    async with sources.redis.pipeline(transaction=False) as pipe:
        pipe.get(keys.OUTBOX_MARK)
        pipe.hmget(keys.OUTBOX_LOST, "at", "jobs")
        pipe.info("server")
        mark, lost, server = await sources.answers(pipe)
    gaps, place = sources.gaps, keys.OUTBOX_LOST
    mark = gaps.value(keys.OUTBOX_MARK, mark, b"")  # which is no server's
    at_ms, jobs = gaps.value(place, lost, (None, None))
    # Where INFO is not permitted, relays write this too.
    run_id = server.get("run_id", "unknown") if isinstance(server, dict) else "unknown"
    return Mark(
        is_there=mark is not None,
        is_right=mark == str(run_id).encode(),
        noticed_at=None if at_ms is None else gaps.value(f"{place} at", moment_of_ms(at_ms), None),
        jobs=0 if jobs is None else gaps.value(f"{place} jobs", integer(jobs), 0),
    )


def loss_in(mark: Mark, counts: StoredCounts | None) -> RedisLoss | None:
    """What the mark says, within the hour after a relay dealt with it; None if nothing was lost, or nobody can tell."""
    carried, doubted = (counts.outbox_dispatched, counts.outbox_doubted) if counts else (0, 0)
    if mark.is_right:
        return RedisLoss(True, mark.noticed_at, mark.jobs, min(doubted, mark.jobs)) if mark.noticed_at else None
    if mark.is_there or carried:
        return RedisLoss(mark.is_there, None, carried, carried)
    return None
