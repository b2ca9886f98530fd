"""What operators did: who, what, when. Kept in PostgreSQL; while it is away in Redis, and moved later.

An act is told to Redis first, as near to what it tells of as Redis allows, and moved at once if PostgreSQL answers.
What stays behind is moved by the next command that reaches both, and by the workers.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

import msgspec
from redis.exceptions import ResponseError
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.errors import RejectedByStorage, Unavailable
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.persistence.job_tables import operator_acts
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.decoding import Unreadable
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, address_of, ailment, reason_of
from worker.inspection.ids import stored
from worker.inspection.sources import RedisAway, Sources, moment

PAGE: Final = 500
LONGEST_JOB_ID: Final = 1_000
LONGEST_TEXT: Final = 10_000
"""In characters; no command writes more."""


@dataclass(frozen=True, slots=True)
class Act:
    """One thing done by a person: to a job, or to a `target` such as ``queue:arq:queue``. Time is unix ms."""

    act: str
    actor: str
    job_id: str | None = None
    target: str | None = None
    note: str | None = None
    at_ms: int = field(default_factory=lambda: time.time_ns() // 1_000_000)
    id: UUID = field(default_factory=uuid4)

    @property
    def at(self) -> datetime | None:
        """When it was done."""
        return moment(self.at_ms)


def told(acts: Sequence[Act]) -> tuple[Any, ...]:
    """The Redis command that tells of acts, to be sent together with what they tell of."""
    return ("RPUSH", keys.ACTS, *(msgspec.json.encode(_sound(act)) for act in acts))


async def record(sources: Sources, acts: Sequence[Act]) -> None:
    """Tell of acts, to Redis or, if that is away, to PostgreSQL itself. Raises RedisAway if both are."""
    if acts:
        try:
            kept = await sources.asked(sources.redis.rpush(*told(acts)[1:]))
        except RedisAway:
            if not await _store(sources.engine, acts):
                raise
            return
        if isinstance(kept, Unreadable):
            sources.gaps.add(keys.ACTS, kept.why)
            if not await _store(sources.engine, acts):
                raise RedisAway(f"{keys.ACTS} in Redis {kept.why}, and PostgreSQL is away: nothing can be noted")
            return
    await settle(sources)


async def settle(sources: Sources) -> None:
    """Move what was told to PostgreSQL, if both servers answer; else leave it for later."""
    if sources.postgresql_problem is None:
        try:
            await move_acts(sources.engine, sources.redis)
        except ResponseError as error:  # they stay where they are
            sources.gaps.add(keys.ACTS, "holds another type" if "WRONGTYPE" in str(error) else reason_of(error))
        except REDIS_FAILURES as error:
            sources.redis_problem = ailment(error, address_of(sources.redis))
        except (Unavailable, SQLAlchemyError) as error:
            sources.postgresql_problem = str(error) if isinstance(error, Unavailable) else type(error).__name__


async def move_acts(engine: AsyncEngine, redis: Any) -> int:
    """Move all acts from Redis to PostgreSQL and return how many. Several may do so at once; a crash repeats one page.

    Costs one command when there is none.
    """
    moved = 0
    while page := await _page(redis):
        await _insert(engine, page)
        async with redis.pipeline(transaction=False) as pipe:
            for entry in page:  # by value: another mover may have taken some of them meanwhile
                pipe.lrem(keys.ACTS, 1, entry)
            moved += sum(await pipe.execute())
    return moved


async def _page(redis: Any) -> list[bytes]:
    """The oldest acts in Redis. What stands there and is no list is set aside."""
    try:
        found: list[bytes] = await redis.lrange(keys.ACTS, 0, PAGE - 1)
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        await redis.rename(keys.ACTS, keys.SET_ASIDE_PREFIX + keys.ACTS)
        return []
    return found


async def _insert(engine: AsyncEngine, page: Sequence[bytes]) -> None:
    """Store a page of acts; one that PostgreSQL refuses is stored as unreadable, and holds up none of the others."""
    try:
        with translated():
            async with engine.begin() as connection:
                await connection.execute(_INSERT, [_row(_act_in(entry)) for entry in page])
    except RejectedByStorage:
        for entry in page:
            try:
                with translated():
                    async with engine.begin() as connection:
                        await connection.execute(_INSERT, [_row(_act_in(entry))])
            except RejectedByStorage:
                async with engine.begin() as connection:
                    await connection.execute(_INSERT, [_row(_unreadable(entry))])


async def read_acts(sources: Sources, *, job_id: str | None = None, limit: int = 50) -> list[Act]:
    """The newest acts of both servers, newest first."""
    rows = await sources.rows(_READ, job_id=job_id, limit=limit) or []
    found = {
        row.id: Act(
            row.act, row.actor, row.job_id, row.target, row.note, round(row.acted_at.timestamp() * 1000), row.id
        )
        for row in rows
    }
    if sources.redis_problem is None:
        page = await sources.asked(sources.redis.lrange(keys.ACTS, -PAGE, -1))
        waiting: list[bytes] = sources.gaps.value(keys.ACTS, page, [])
        for act in map(_act_in, waiting):
            if job_id in (None, act.job_id):
                found.setdefault(act.id, act)
    return sorted(found.values(), key=lambda act: act.at_ms, reverse=True)[:limit]


async def _store(engine: AsyncEngine, acts: Sequence[Act]) -> bool:
    try:
        with translated():
            async with engine.begin() as connection:
                await connection.execute(_INSERT, [_row(_sound(act)) for act in acts])
    except (Unavailable, SQLAlchemyError):
        return False
    return True


def _act_in(entry: bytes) -> Act:
    """What an entry of the list tells; one that no command of ours wrote stands for itself and holds up nobody."""
    try:
        act = msgspec.json.decode(entry, type=Act)
    except msgspec.DecodeError:
        return _unreadable(entry)
    texts = (act.act, act.actor, act.job_id, act.target, act.note)
    is_sound = (
        act.at is not None
        and (act.job_id is not None or act.target is not None)
        and len(act.job_id or "") <= LONGEST_JOB_ID
        and not any(text and ("\0" in text or len(text) > LONGEST_TEXT) for text in texts)
    )
    return act if is_sound else _unreadable(entry)


def _unreadable(entry: bytes) -> Act:
    told = entry[:200].decode("ascii", "backslashreplace").replace("\0", "\\x00")
    return Act("unreadable", "nobody", target=keys.ACTS, note=told, id=uuid5(NAMESPACE_OID, repr(entry)))


def _sound(act: Act) -> Act:
    return replace(act, job_id=None if act.job_id is None else stored(act.job_id))


def _row(act: Act) -> dict[str, Any]:
    return {
        "id": act.id,
        "act": act.act,
        "actor": act.actor,
        "job_id": act.job_id,
        "target": act.target,
        "note": act.note,
        "acted_at": act.at,
    }


_INSERT = insert(operator_acts).on_conflict_do_nothing(index_elements=[operator_acts.c.id])

_READ = """
    (SELECT id, act, actor, job_id, target, note, acted_at FROM operator_acts
     WHERE CAST(:job_id AS text) IS NULL OR job_id = :job_id ORDER BY acted_at DESC LIMIT :limit)
    UNION ALL
    (SELECT CAST(md5('dead_letter_acts ' || acts.id) AS uuid), acts.act, acts.actor, letters.job_id, NULL, acts.note,
            acts.acted_at
     FROM dead_letter_acts AS acts JOIN dead_letters AS letters ON letters.id = acts.dead_letter_id
     WHERE CAST(:job_id AS text) IS NULL OR letters.job_id = :job_id ORDER BY acts.id DESC LIMIT :limit)
    ORDER BY acted_at DESC LIMIT :limit
"""
