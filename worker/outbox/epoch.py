"""Notices that Redis is not the one that was written to, or has lost everything: by a mark that was left there."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError, ResponseError
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, unavailable, without_arguments
from worker.inspection.kept_pauses import Restored, restore_pauses
from worker.outbox.doubting import doubt_all

LATELY_S = 60
LONGEST_TIME = 15
"""In digits of unix ms."""

LONGEST_MARK = 100


@dataclass(frozen=True, slots=True)
class Loss:
    """What a Redis that may have lost its data makes necessary: so many rows are looked at again."""

    jobs: int
    pauses: Restored


async def notice_loss(engine: AsyncEngine, redis: Redis, *, was_marked: bool = False) -> Loss | None:
    """If Redis may have lost its data, restore the pauses, and have every dispatched row looked at again.

    With `was_marked` the caller has found the mark, or left it, before: if it is gone, something was lost for certain,
    and it is noted for an hour that jobs may be which nobody but their producers knows of.

    The mark is the run id of the server that holds it. It is gone after a FLUSHALL, and another after a restart or a
    failover, from which Redis may have come back with all, some or nothing of what it held. The mark comes last: a
    crash in between repeats the rest, and forgets nothing. The pauses come first, so that no job that was paused runs.
    """
    found, run_id = await _mark_and_run_id(redis)
    if found == run_id:
        return None
    pauses = await restore_pauses(engine, redis)
    doubted = await doubt_all(engine)
    is_loss = was_marked or found is not None or bool(doubted or pauses)
    call: Callable[..., Awaitable[Any]] = redis.execute_command  # which has no types
    try:
        await call("EVAL", _LEAVE_MARK, 2, keys.OUTBOX_MARK, keys.OUTBOX_LOST, run_id, doubted, int(is_loss))
    except REDIS_FAILURES as error:
        raise unavailable(error, redis) from without_arguments(error)
    return Loss(doubted, pauses)


async def lost_lately(redis: Redis) -> bool:
    """Whether any relay has noticed a loss within the last minute."""
    try:
        async with redis.pipeline(transaction=False) as pipe:
            pipe.hget(keys.OUTBOX_LOST, "at")
            pipe.time()
            at_ms, now = await pipe.execute(raise_on_error=False)
        if isinstance(now, Exception):
            raise now
    except REDIS_FAILURES as error:
        raise unavailable(error, redis) from without_arguments(error)
    is_time = isinstance(at_ms, bytes) and at_ms.isdigit() and len(at_ms) <= LONGEST_TIME
    return is_time and now[0] - int(at_ms) / 1000 < LATELY_S


async def _mark_and_run_id(redis: Redis) -> tuple[bytes | None, bytes]:
    try:
        async with redis.pipeline(transaction=False) as pipe:
            pipe.getrange(keys.OUTBOX_MARK, 0, LONGEST_MARK)
            pipe.info("server")
            pipe.info("replication")
            mark, server, replication = await pipe.execute(raise_on_error=False)
        if isinstance(mark, Exception):
            if not isinstance(mark, ResponseError) or "WRONGTYPE" not in str(mark):
                raise mark
            mark = b""  # it is no mark of ours
        if isinstance(replication, dict) and replication.get("slave_read_only") == 1:
            # Asked for what it has, it would answer with the past, for as long as we are connected to it.
            await redis.connection_pool.disconnect(inuse_connections=False)
            raise ReadOnlyError("it follows another server")
    except REDIS_FAILURES as error:
        raise unavailable(error, redis) from without_arguments(error)
    return mark or None, _run_id(server)


def _run_id(server: Any) -> bytes:
    # Where INFO is not permitted, there is still the mark's absence to go by.
    return str(server.get("run_id", "unknown") if isinstance(server, dict) else "unknown").encode()


# Several relays may notice at once, and share the rows between them. An hour is for whoever asks what has happened.
_LEAVE_MARK = """
    local before = redis.pcall('GET', KEYS[1])
    redis.call('SET', KEYS[1], ARGV[1])
    if ARGV[3] == '0' then
      return
    end
    local now = redis.call('TIME')
    if before ~= ARGV[1] then
      redis.call('DEL', KEYS[2])
    end
    if redis.call('TYPE', KEYS[2]).ok ~= 'hash' then
      redis.call('DEL', KEYS[2])
    end
    redis.call('HSETNX', KEYS[2], 'at', string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)))
    local counted = redis.pcall('HINCRBY', KEYS[2], 'jobs', ARGV[2])
    if type(counted) == 'table' and counted.err then
      redis.call('HSET', KEYS[2], 'jobs', ARGV[2])
    end
    redis.call('EXPIRE', KEYS[2], 3600)
"""
