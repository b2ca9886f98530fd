"""What is paused, as PostgreSQL remembers it: by the latest act of an operator on each queue and each kind.

Workers obey `arq:paused` in Redis. When Redis has lost it, or came back with an older one, it is made from this again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError
from sqlalchemy import Row, text
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.domain.errors import NoteflowError
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, unavailable, without_arguments
from worker.inspection.acts import move_acts
from worker.inspection.pauses import field_of, pause_value, read_pauses
from worker.inspection.sources import Sources

_ONE_AT_A_TIME = 5018278
"""Of PostgreSQL's advisory locks: while somebody restores, nobody pauses or resumes, so that no pause comes back."""


PATIENCE_S = 2.0


@dataclass(frozen=True, slots=True)
class Restored:
    """How many pauses were put back, and how many were taken away because they had been ended."""

    paused: int = 0
    resumed: int = 0

    def __bool__(self) -> bool:
        return bool(self.paused or self.resumed)


async def restore_pauses(engine: AsyncEngine, redis: Redis) -> Restored:
    """Let Redis have the pauses that PostgreSQL remembers, and none that was ended. What is newer in Redis stays.

    A pause that was set by hand is in nobody's memory: it is left as it is. Raises Unavailable.
    """
    store: Any = redis  # whose types are those of two clients at once
    try:
        await move_acts(engine, redis)
        with translated():
            async with engine.begin() as connection:
                await _lock(connection)
                acts = (await connection.execute(text(_LATEST), {"target": None})).all()
                return await _apply(store, acts) if acts else Restored()
    except REDIS_FAILURES as error:
        raise unavailable(error, redis) from without_arguments(error)


async def _apply(store: Any, acts: Sequence[Row[Any]]) -> Restored:
    found = {(pause.scope, pause.name): pause for pause in read_pauses(await _paused(store))}
    paused = resumed = 0
    for act in acts:
        scope, _, name = act.target.partition(":")
        there = found.get((scope, name))
        if act.act == "pause" and there is None:
            value = pause_value(act.note or "", act.actor, _unix_ms(act))
            paused += await store.hsetnx(keys.PAUSED, field_of(scope, name), value)
        elif act.act == "resume" and there is not None and there.since is not None and there.since < act.acted_at:
            resumed += await store.hdel(keys.PAUSED, field_of(scope, name))
    return Restored(paused, resumed)


async def _paused(store: Any) -> Any:
    """The pauses in Redis. What is no hash is set aside, or no pause could be restored."""
    try:
        return await store.hgetall(keys.PAUSED)
    except ResponseError as error:
        if "WRONGTYPE" not in str(error):
            raise
        await store.rename(keys.PAUSED, keys.SET_ASIDE_PREFIX + keys.PAUSED)
        return {}


@asynccontextmanager
async def steering_alone(sources: Sources, target: str) -> AsyncIterator[Row[Any] | None]:
    """Pause or resume while nobody restores; gives the target's latest act, None if there is none.

    While PostgreSQL is away, or does not answer within `PATIENCE_S`, nobody is kept out and nothing is known: workers
    obey Redis, which must not wait for it. `postgresql_problem` then says why.
    """
    connection: AsyncConnection | None = None
    latest = None
    try:
        with translated():
            async with asyncio.timeout(PATIENCE_S):
                connection = await sources.engine.connect()
                await _lock(connection)
                latest = (await connection.execute(text(_LATEST), {"target": target})).one_or_none()
    except (NoteflowError, SQLAlchemyError) as error:
        sources.postgresql_problem = str(error) if isinstance(error, NoteflowError) else type(error).__name__
    try:
        yield latest
    finally:
        if connection is not None:
            with suppress(SQLAlchemyError, OSError):
                await connection.close()


def later_than(act: Row[Any] | None, now_ms: int) -> int:
    """Now, in unix ms, but after `act` whatever the clocks say: two servers' clocks may differ."""
    return now_ms if act is None else max(now_ms, _unix_ms(act) + 1)


async def _lock(connection: AsyncConnection) -> None:
    await connection.execute(text("SELECT pg_advisory_xact_lock(CAST(:lock AS bigint))"), {"lock": _ONE_AT_A_TIME})


def _unix_ms(act: Row[Any]) -> int:
    return int(act.acted_at.timestamp() * 1000 + 0.5)


# Read when somebody pauses or resumes, and when Redis was lost: rarely, so it has no index of its own.
_LATEST = """
    SELECT DISTINCT ON (target) target, act, actor, note, acted_at FROM operator_acts
    WHERE act IN ('pause', 'resume') AND (CAST(:target AS text) IS NULL OR target = :target)
    ORDER BY target, acted_at DESC, act DESC
"""
