"""One batch of outbox rows on its way to Redis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.infrastructure.queue.dispatch import Dispatcher, KeptJob

MOST_ROWS = 500
MOST_BYTES = 8 * 1_048_576
"""Of payloads in one call, unless the first is longer; Redis does nothing else meanwhile."""

FROZEN_AFTER_MS = 10_000
"""A relay that stood still for so long within its transaction loses it, and with it the lock that all others want.

Redis answers, or is given up, within half of that.
"""

_ONE_AT_A_TIME = 5018276
"""Of PostgreSQL's advisory locks: with it rows reach Redis in the order in which they were asked for."""


@dataclass(frozen=True, slots=True)
class Dispatched:
    """What one batch came to.

    `more` says that there may be more, `restored` how many had been dispatched before and were not in Redis, `lost` how
    many of these had been so for a while: a job that is woken while its claim just ends is dispatched and put in later.
    `look_again_s` is when the first of those that Redis still had is to be looked at again.
    """

    more: bool = False
    restored: int = 0
    lost: int = 0
    look_again_s: float | None = None


async def dispatch_due(engine: AsyncEngine, dispatcher: Dispatcher) -> Dispatched:
    """Dispatch the rows that are due, at most a batch of them; none while another relay is about it.

    Redis is written before the commit: a crash in between dispatches them again, which changes nothing. A row whose
    job is there already (it is just being parked, or it waits) is looked at again soon, later ever more rarely.
    """
    async with engine.begin() as connection:
        asked = {"most": MOST_ROWS, "lock": _ONE_AT_A_TIME, "frozen_after": f"{FROZEN_AFTER_MS}ms"}
        due = (await connection.execute(text(_DUE), asked)).all()
        if not due:
            return Dispatched()
        there = await _there(dispatcher, [row for row in due if row.state == "dispatched"])
        wanted = [row for row in due if row.job_id not in there]
        sent = list(_together(wanted))
        put_in = await _put_in(connection, dispatcher, [row.job_id for row in sent])
        looked_at = [*there, *(row.job_id for row in sent)]
        again = await connection.execute(
            text(_LOOK_AGAIN), {"job_ids": looked_at, "put_in": [job_id in put_in for job_id in looked_at]}
        )
        restored = [row for row in sent if row.state == "dispatched" and row.job_id in put_in]
        return Dispatched(
            more=len(due) == MOST_ROWS or len(sent) < len(wanted),
            restored=len(restored),
            lost=sum(row.was_settled for row in restored),
            look_again_s=min((row.after_s for row in again if row.job_id not in put_in), default=None),
        )


async def _there(dispatcher: Dispatcher, doubted: Sequence[Row[Any]]) -> set[str]:
    """Those that Redis still has. Asked without their payloads, for mostly it has them all."""
    held = await dispatcher.held([(row.job_id, row.queue) for row in doubted])
    return {row.job_id for row, is_there in zip(doubted, held, strict=True) if is_there}


def _together(rows: Sequence[Row[Any]]) -> Iterator[Row[Any]]:
    """As many as go in one call."""
    used = 0
    for row in rows:
        used += row.size_bytes
        if used > MOST_BYTES and used > row.size_bytes:
            return
        yield row


async def _put_in(connection: AsyncConnection, dispatcher: Dispatcher, job_ids: Sequence[str]) -> set[str]:
    if not job_ids:
        return set()
    rows = (await connection.execute(text(_BODIES), {"job_ids": job_ids})).all()
    answers = await dispatcher.dispatch([KeptJob(row.job_id, row.queue, row.body) for row in rows])
    return {row.job_id for row, new in zip(rows, answers, strict=True) if new}


# Nothing is due for whoever does not get the lock: he who has it was called by the same commit, and looks once more
# before he rests.
_DUE = """
    WITH mine AS MATERIALIZED (
        SELECT pg_try_advisory_xact_lock(CAST(:lock AS bigint))
           AND set_config('idle_in_transaction_session_timeout', CAST(:frozen_after AS text), true) IS NOT NULL
    ), waiting AS (
        SELECT job_id, queue, state, position, octet_length(body) AS size_bytes,
               coalesce(dispatched_at < clock_timestamp() - interval '15 s', false) AS was_settled FROM outbox
        WHERE state = 'waiting' AND (SELECT * FROM mine)
        ORDER BY position LIMIT :most FOR UPDATE SKIP LOCKED
    ), doubted AS (
        SELECT job_id, queue, state, position, octet_length(body) AS size_bytes,
               coalesce(dispatched_at < clock_timestamp() - interval '15 s', false) AS was_settled FROM outbox
        WHERE state = 'dispatched' AND due_at <= clock_timestamp() AND (SELECT * FROM mine)
        ORDER BY due_at, position LIMIT :most FOR UPDATE SKIP LOCKED
    )
    SELECT * FROM (SELECT * FROM waiting UNION ALL SELECT * FROM doubted) AS due ORDER BY position LIMIT :most
"""

_BODIES = "SELECT job_id, queue, body FROM outbox WHERE job_id = ANY (:job_ids) ORDER BY position"

_LOOK_AGAIN = """
    UPDATE outbox SET
        state = 'dispatched',
        dispatched_at = CASE WHEN put_in OR state = 'waiting' THEN clock_timestamp() ELSE dispatched_at END,
        due_at = clock_timestamp() + CASE
            WHEN put_in THEN interval '15 s'
            WHEN state = 'waiting' THEN interval '50 ms'
            ELSE least(greatest(clock_timestamp() - dispatched_at, interval '50 ms'), interval '1 min') END
    FROM unnest(CAST(:job_ids AS text[]), CAST(:put_in AS boolean[])) AS done (id, put_in)
    WHERE job_id = id
    RETURNING job_id, extract(epoch FROM due_at - clock_timestamp())::float8 AS after_s
"""
