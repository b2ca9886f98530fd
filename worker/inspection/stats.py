"""The state of everything on one page, at a price that does not grow with the number of waiting jobs."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime

from noteflow.infrastructure.queue.decoding import Gap
from worker.inspection.blocking import Blocker, read_blockers
from worker.inspection.depths import QueueDepth, queue_depths
from worker.inspection.fleet import Fleet, read_fleet
from worker.inspection.loss import RedisLoss, loss_in, read_mark
from worker.inspection.pauses import Pause
from worker.inspection.records import Meetings, Rates, StoredCounts, read_counts, read_meetings, read_rates
from worker.inspection.set_back import PostgresLoss, read_postgres_loss
from worker.inspection.sources import Sources, moment


@dataclass(frozen=True, slots=True)
class FleetSummary:
    """The workers, counted. `complete` and its neighbours count since each process began.

    `gone` had a record within the hour and did not say goodbye; the last beat of the last of them is `gone_s` ago.
    """

    alive: int
    ready: int
    silent: int
    gone: int
    gone_s: float | None
    running: int
    slots: int
    complete: int
    failed: int
    retried: int
    excuses: list[str]


@dataclass(frozen=True, slots=True)
class Stats:
    """Everything at a glance. What only PostgreSQL knows is None while it is away; `postgresql` then says why.

    `redis` says that Redis takes no writes: which workers live cannot be known then, and nothing runs.
    `unreadable` are the places that hold what cannot be read.
    """

    at: datetime | None
    queues: list[QueueDepth]
    workers: FleetSummary
    pauses: list[Pause]
    outbox_waiting: int | None
    outbox_dispatched: int | None
    parked_behind_dead: int | None
    redis_lost: RedisLoss | None
    rates: Rates | None
    meetings: Meetings | None
    blockers: list[Blocker] | None
    postgresql: str | None
    redis: str | None = None
    postgresql_lost: PostgresLoss | None = None
    unreadable: list[Gap] = field(default_factory=list)


async def read_stats(sources: Sources) -> Stats:
    """The whole page: a handful of commands to Redis, six bounded queries to PostgreSQL. Raises RedisAway."""
    now_ms = await sources.now_ms()
    fleet = await read_fleet(sources, now_ms)
    blockers = await read_blockers(sources)  # first: what comes next may have to wait for one of them
    counts = await read_counts(sources)
    rates, meetings = await asyncio.gather(read_rates(sources), read_meetings(sources))
    mark = await read_mark(sources)
    postgresql_lost = await read_postgres_loss(sources)
    stored = counts or StoredCounts({}, {}, 0, 0)
    queues = fleet.queues(sources.queue_name)
    queues += sorted({*stored.parked, *stored.dead} - set(queues))
    depths = await queue_depths(sources, queues, fleet, counts, now_ms)
    return Stats(
        at=moment(now_ms),
        queues=depths,
        workers=_summary(fleet),
        pauses=fleet.pauses,
        outbox_waiting=counts.outbox_waiting if counts else None,
        outbox_dispatched=counts.outbox_dispatched if counts else None,
        parked_behind_dead=counts.behind if counts else None,
        redis_lost=loss_in(mark, counts),
        rates=rates,
        meetings=meetings,
        blockers=blockers if blockers or not sources.postgresql_problem else None,
        postgresql=sources.postgresql_problem,
        redis=fleet.redis,
        postgresql_lost=postgresql_lost,
        unreadable=sources.gaps.found,
    )


def _summary(fleet: Fleet) -> FleetSummary:
    workers, alive = fleet.workers, fleet.alive
    return FleetSummary(
        alive=len(alive),
        ready=sum(worker.ready for worker in alive),
        silent=len(workers) - len(alive),
        gone=fleet.forgotten,
        gone_s=fleet.gone_s,
        running=sum(worker.running for worker in alive),
        slots=sum(worker.max_jobs for worker in alive),
        complete=sum(worker.complete for worker in workers),
        failed=sum(worker.failed for worker in workers),
        retried=sum(worker.retried for worker in workers),
        excuses=sorted({excuse for worker in alive for excuse in worker.excuses}),
    )
