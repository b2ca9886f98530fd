"""Jobs in a table: running first, then due, deferred, parked and dead, until there are enough.

The queue is looked through in pages from its head and never further than `look` jobs: a million waiting jobs cost no
more than so many. Jobs that come or go meanwhile may be missed, or seen twice.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from noteflow.infrastructure.queue.decoding import Gap
from worker.inspection.choice import Choice, JobState
from worker.inspection.fleet import Fleet, read_fleet
from worker.inspection.letters import find_letters
from worker.inspection.queued import QUEUE_STATES, Budget, find_queued
from worker.inspection.sources import RedisAway, Sources
from worker.inspection.stored import find_asked, find_complete, find_parked

LOOK: Final = 20_000


@dataclass(frozen=True, slots=True)
class JobRow:
    """One job. `at` is when it is or was due, parked, dead or committed; of a running one since when it runs.

    `at` is None where nobody says. `detail` says why, or how, in a few words.
    """

    job_id: str
    state: JobState
    kind: str | None
    meeting_id: UUID | None
    queue: str | None
    at: datetime | None
    tries: int | None
    size_bytes: int | None
    worker: str | None
    detail: str | None


@dataclass(frozen=True, slots=True)
class Listing:
    """The jobs that were found. `stopped` says where looking ended before everything was seen, None if it did not.

    `unreadable` are the places that hold what cannot be read.
    """

    rows: list[JobRow]
    looked_at: int
    stopped: str | None
    redis: str | None
    postgresql: str | None
    unreadable: list[Gap] = field(default_factory=list)


async def list_jobs(sources: Sources, choice: Choice, *, limit: int, look: int = LOOK) -> Listing:
    """At most `limit` jobs of the choice."""
    budget = Budget(look)
    rows: list[JobRow] = []
    more = False
    async with aclosing(_found(sources, choice, budget, limit)) as found:
        async for row in found:
            if len(rows) == limit:
                more = True
                break
            rows.append(row)
    stopped = None
    if more:
        stopped = f"there are more: these are the first {limit} (--limit)"
    elif budget.spent:
        stopped = f"stopped looking after {budget.looked_at:,} waiting jobs (--look); there may be more"
    return Listing(
        rows, budget.looked_at, stopped, sources.redis_problem, sources.postgresql_problem, sources.gaps.found
    )


async def _found(sources: Sources, choice: Choice, budget: Budget, limit: int) -> AsyncGenerator[JobRow]:
    if choice.states & QUEUE_STATES:
        try:
            fleet: Fleet = await read_fleet(sources, await sources.now_ms())
            for state in (JobState.RUNNING, JobState.DUE, JobState.DEFERRED):
                if state in choice.states:
                    for queue in fleet.queues(sources.queue_name):
                        async for queued in find_queued(sources, queue, state, choice, fleet, budget, limit):
                            yield JobRow(**queued)
        except RedisAway:
            pass  # `redis_problem` says so, and PostgreSQL has more to tell
    for state, find in (
        (JobState.OUTBOX, find_asked),
        (JobState.PARKED, find_parked),
        (JobState.COMPLETE, find_complete),
    ):
        if state in choice.states:
            for stored in await find(sources, choice, limit + 1):
                yield JobRow(**stored)
    if JobState.DEAD in choice.states:
        async for letter in find_letters(sources, choice, limit + 1):
            yield JobRow(
                letter.job_id, JobState.DEAD, letter.kind, letter.meeting_id, letter.queue, letter.died_at,
                letter.tries, letter.size_bytes, letter.worker or None, letter.reason,
            )  # fmt: skip
