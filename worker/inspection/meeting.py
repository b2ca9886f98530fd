"""One meeting: its states, its batches, and how far its transcript is behind."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, Final
from uuid import UUID

from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.decoding import Gap
from worker.inspection.choice import Choice, JobState
from worker.inspection.listing import JobRow, list_jobs
from worker.inspection.loss import RedisLoss, read_loss
from worker.inspection.queued import QUEUE_STATES
from worker.inspection.sources import RedisAway, Sources

MOST_JOBS: Final = 1_000
MOST_MISSING: Final = 10_000
_BATCH = re.compile(rb'"batch":(\d{1,10})')
_TAIL_BYTES: Final = 200
"""Our producers write a batch's number at the end of the payload."""


@dataclass(frozen=True, slots=True)
class Move:
    """One step of a meeting's history; `job_id` is None where no job asked for it."""

    from_state: str
    to_state: str
    sequence: int
    job_id: str | None
    at: datetime


@dataclass(frozen=True, slots=True)
class Batches:
    """Numbered batches. `missing` are expected and nowhere; `expected` is None until STOPPED has told how many.

    `incomplete` lack parts. Waiting and dead ones are known by number where our own producers wrote them.
    """

    expected: int | None
    applied: list[int]
    incomplete: list[int]
    waiting: list[int]
    dead: list[int]
    missing: list[int]


@dataclass(frozen=True, slots=True)
class MeetingView:
    """One meeting. `state` is None if PostgreSQL has none of this id, or is away.

    While it is away, what only it could tell is None too (`postgresql` then says why), and `history` is empty.

    `commit_lag_s` is how long the last segments took from enqueueing to commit; `behind_s` how far what is stored
    lies behind the meeting's own clock, while it is being recorded; less than zero is ahead of it. `unreadable` are the
    places that hold what cannot be read.
    """

    meeting_id: UUID
    state: str | None
    version: int | None
    sequence: int | None
    created_at: datetime | None
    started_at: datetime | None
    ended_at: datetime | None
    history: list[Move]
    batches: Batches | None
    segments: int | None
    late_segments: int | None
    transcript_ends_s: float | None
    last_commit_at: datetime | None
    commit_lag_s: float | None
    behind_s: float | None
    jobs_done: dict[str, int] | None
    unfinished: list[JobRow]
    stopped: str | None
    redis: str | None
    postgresql: str | None
    redis_lost: RedisLoss | None = None
    unreadable: list[Gap] = field(default_factory=list)


async def read_meeting(sources: Sources, meeting_id: UUID, *, look: int) -> MeetingView:
    """All that is known of a meeting. The waiting jobs are looked through, `look` of them at most."""
    row = await sources.first("SELECT * FROM meetings WHERE id = :id", id=meeting_id)
    spoken = await sources.first(_SPOKEN, id=meeting_id)
    last = await sources.first(_LAST, id=meeting_id)
    done = await sources.rows(_DONE, id=meeting_id)
    listing = await list_jobs(sources, Choice(meeting_id=meeting_id), limit=MOST_JOBS, look=look)
    history = await _history(sources, meeting_id)
    lost = await _lost(sources, row.created_at if row else None, history)
    return MeetingView(
        meeting_id=meeting_id,
        state=row.state if row else None,
        version=row.version if row else None,
        sequence=row.sequence if row else None,
        created_at=row.created_at if row else None,
        started_at=row.started_at if row else None,
        ended_at=row.ended_at if row else None,
        history=history,
        batches=await _batches(sources, meeting_id, row.expected_batches if row else None, listing.rows),
        segments=spoken.number if spoken else None,
        late_segments=spoken.late if spoken else None,
        transcript_ends_s=spoken.ends_s if spoken else None,
        last_commit_at=last.committed_at if last else None,
        commit_lag_s=last.lag_s if last else None,
        behind_s=spoken.behind_s if spoken else None,
        jobs_done=None if done is None else {each.name: each.number for each in done},
        unfinished=listing.rows,
        stopped=listing.stopped,
        redis=sources.redis_problem,
        postgresql=sources.postgresql_problem,
        redis_lost=lost,
        unreadable=sources.gaps.found,
    )


async def _lost(sources: Sources, created_at: datetime | None, history: list[Move]) -> RedisLoss | None:
    """The loss of Redis's data, if the meeting was open then."""
    try:
        loss = await read_loss(sources) if sources.redis_problem is None else None
    except RedisAway:
        return None
    if loss is None:
        return None
    completed_at = next((move.at for move in history if move.to_state == MeetingState.COMPLETED), None)
    if loss.noticed_at is None:
        return loss if completed_at is None else None
    began_later = created_at is not None and created_at > loss.noticed_at
    ended_before = completed_at is not None and completed_at < loss.noticed_at
    return None if began_later or ended_before else loss


async def _history(sources: Sources, meeting_id: UUID) -> list[Move]:
    rows = await sources.rows(_HISTORY, id=meeting_id) or ()
    return [Move(row.from_state, row.to_state, row.sequence, row.job_id, row.moved_at) for row in rows]


async def _batches(sources: Sources, meeting_id: UUID, expected: int | None, jobs: list[JobRow]) -> Batches | None:
    stored = await sources.rows(_BATCHES, id=meeting_id)
    kept = await sources.rows(_KEPT, id=meeting_id)
    if stored is None or kept is None:
        return None
    applied = [row.batch for row in stored if row.is_whole]
    waiting = await _queued_numbers(sources, jobs) | _numbers(row.tail for row in kept if row.state != "dead")
    dead = _numbers(row.tail for row in kept if row.state == "dead")
    known = {*applied, *waiting, *dead}
    # A producer, or a person, may have said a number without end.
    missing = list(islice((number for number in range(1, (expected or 0) + 1) if number not in known), MOST_MISSING))
    return Batches(
        expected=expected,
        applied=applied,
        incomplete=[row.batch for row in stored if not row.is_whole],
        waiting=sorted(waiting - set(applied)),
        dead=sorted(dead - set(applied)),
        missing=missing,
    )


async def _queued_numbers(sources: Sources, jobs: list[JobRow]) -> set[int]:
    ids = [job.job_id for job in jobs if job.state in QUEUE_STATES or job.state is JobState.DEAD]
    if not ids or sources.redis_problem is not None:
        return set()
    async with sources.redis.pipeline(transaction=False) as pipe:
        for job_id in ids:
            pipe.getrange(keys.JOB_PREFIX.encode() + job_id.encode("utf-8", "surrogateescape"), -_TAIL_BYTES, -1)
        try:
            return _numbers(each for each in await sources.answer(pipe.execute(raise_on_error=False)))
        except RedisAway:
            return set()


def _numbers(tails: Iterable[Any]) -> set[int]:
    found = (_BATCH.search(tail) for tail in tails if isinstance(tail, bytes))
    return {int(each[1]) for each in found if each}


_HISTORY = "SELECT * FROM meeting_history WHERE meeting_id = :id ORDER BY version, step"

_BATCHES = """
    SELECT batch, count(*) >= max(parts) AS is_whole FROM batches WHERE meeting_id = :id GROUP BY batch ORDER BY batch
"""

_KEPT = f"""
    (SELECT state, substr(body, greatest(1, length(body) - {_TAIL_BYTES - 1})) AS tail FROM outbox
     WHERE meeting_id = :id AND kind = 'ingest_segments' LIMIT {MOST_JOBS})
    UNION ALL
    (SELECT state, substr(body, greatest(1, length(body) - {_TAIL_BYTES - 1})) FROM dead_letters
     WHERE meeting_id = :id AND state = 'dead' AND kind = 'ingest_segments' LIMIT {MOST_JOBS})
"""  # noqa: S608  # of constants

_SPOKEN = """
    SELECT count(*) AS number, count(*) FILTER (WHERE late) AS late, max(end_time) AS ends_s,
           (SELECT CAST(extract(epoch FROM clock_timestamp() - started_at) AS float8) FROM meetings
            WHERE id = :id AND state = 'RECORDING') - coalesce(max(end_time), 0) AS behind_s
    FROM segments WHERE meeting_id = :id
"""

_LAST = """
    SELECT committed_at, CAST(extract(epoch FROM committed_at - enqueued_at) AS float8) AS lag_s FROM job_ledger
    WHERE meeting_id = :id AND kind = 'ingest_segments' ORDER BY committed_at DESC LIMIT 1
"""

_DONE = """
    SELECT kind || ':' || outcome AS name, count(*) AS number FROM job_ledger WHERE meeting_id = :id
    GROUP BY kind, outcome ORDER BY kind, outcome
"""
