"""Notices that PostgreSQL lost commits: by a mark that is kept in both servers, and by results without a ledger row.

It happens when a backup is restored, a standby that lagged is promoted, or a server crashes that acknowledges commits
before they are on disk. Then Redis remembers jobs as done that are not, and would refuse them for as long as it keeps
their results.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.infrastructure.persistence.database_mark import DatabaseMark, count, read_mark
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, unavailable, without_arguments
from worker.outbox.doubting import doubt_all
from worker.outbox.stale_results import forget_stale_results

KEPT_S = 86_400
"""How long a loss is shown: producers have to repeat what they asked for since."""

MOST_DATABASES = 64
"""Marks in one Redis; a hash with more fields was written by a stranger."""

_ONE_AT_A_TIME = 5018279
"""Of PostgreSQL's advisory locks: one relay looks through the results, the others go on."""


@dataclass(frozen=True, slots=True)
class SetBack:
    """PostgreSQL is as it was at `since`, or nearly: `results` in Redis were forgotten, `jobs` are due again."""

    since: datetime
    results: int
    jobs: int


@dataclass(frozen=True, slots=True)
class _Known:
    """What Redis knows of one database: its counter, and its server."""

    counter: int
    server: str


async def notice_set_back(engine: AsyncEngine, redis: Redis) -> SetBack | None:
    """Return what was lost, after dealing with it; None if nothing was, as after an ordinary restart or a promotion.

    Costs a short transaction and two short questions to Redis. Only after a restart, a promotion or a restored backup
    are the results in Redis compared with the ledger, by one relay. The mark in Redis comes last: a crash in between
    repeats the rest. Raises Unavailable.
    """
    try:
        known = await _known(redis)  # before PostgreSQL is asked, or another relay's count would look like a loss
        counted, loss = None, None
        async with engine.begin() as connection:
            mark = await read_mark(connection)
            if mark is None:
                return None
            if is_content := _is_content(known, mark):
                counted = await count(connection)
        if not is_content:
            # In a transaction of its own: after a crash the first one has begun a run, which all others wait for.
            async with engine.begin() as connection:
                loss = await _look_alone(connection, redis)
            if loss is None:
                return None
        if loss is None:
            # After the commit: a count that PostgreSQL may still lose must not be remembered.
            if counted is not None or not known:
                await _leave_mark(redis, mark, mark.counter if counted is None else counted, None)
            return None
        set_back = None
        if loss.results or loss.is_certain:
            set_back = SetBack(loss.mark.counted_at, loss.results, await doubt_all(engine))
        await _leave_mark(redis, loss.mark, loss.mark.counter, set_back)
    except REDIS_FAILURES as error:
        raise unavailable(error, redis) from without_arguments(error)
    return set_back


@dataclass(frozen=True, slots=True)
class _Look:
    """What one relay found. `is_certain` if the counter went back."""

    mark: DatabaseMark
    results: int
    is_certain: bool


async def _look_alone(connection: AsyncConnection, redis: Redis) -> _Look | None:
    """Forget the results that show a loss; None if another relay is about it, or was."""
    if not await connection.scalar(text(_LOCK), {"lock": _ONE_AT_A_TIME}):
        return None
    known = await _known(redis)
    mark = await read_mark(connection)
    if mark is None or _is_content(known, mark):
        return None
    own = known.get(str(mark.database_id))
    went_back = own is not None and own.counter > mark.counter
    results = await forget_stale_results(connection, redis, mark.pruned_before, is_certain=went_back)
    return _Look(mark, results, went_back)


def _is_content(known: Mapping[str, _Known], mark: DatabaseMark) -> bool:
    own = known.get(str(mark.database_id))
    if own is None:
        return not known  # Redis is younger, or was emptied: unless it served another database
    return own.server == mark.server and own.counter <= mark.counter


async def _known(redis: Redis) -> dict[str, _Known]:
    store: Any = redis  # whose types are those of two clients at once
    try:
        if await store.hlen(keys.POSTGRESQL_MARK) > MOST_DATABASES:
            return {}
        fields = await store.hgetall(keys.POSTGRESQL_MARK)
    except ResponseError as error:
        if str(error).startswith("WRONGTYPE"):
            return {}
        raise
    known = {}
    for database, value in fields.items():
        counter, _, server = value.decode("utf-8", "replace").partition(" ")
        if counter.isascii() and counter.isdigit() and len(counter) < 16:
            known[database.decode("utf-8", "replace")] = _Known(int(counter), server)
    return known


async def _leave_mark(redis: Redis, mark: DatabaseMark, counter: int, set_back: SetBack | None) -> None:
    call: Callable[..., Awaitable[Any]] = redis.execute_command  # which has no types
    argv: list[Any] = [str(mark.database_id), counter, mark.server, KEPT_S, MOST_DATABASES]
    if set_back is not None:
        argv += [int(set_back.since.timestamp() * 1000), set_back.results, set_back.jobs]
    await call("EVAL", _LEAVE_MARK, 2, keys.POSTGRESQL_MARK, keys.POSTGRESQL_LOST, *argv)


_LOCK = "SELECT pg_try_advisory_xact_lock(CAST(:lock AS bigint))"

# Two relays may count one after the other and come here in the other order: of one server the higher number stays.
# A loss within a day of another is added to it, from the earlier moment on.
_LEAVE_MARK = """
    for _, key in ipairs(KEYS) do
      local kind = redis.call('TYPE', key).ok
      if kind ~= 'none' and (kind ~= 'hash' or redis.call('HLEN', key) > tonumber(ARGV[5])) then
        redis.call('DEL', key)
      end
    end
    local counter, server = ARGV[2], ARGV[3]
    if not ARGV[6] then
      local known, known_server = string.match(redis.call('HGET', KEYS[1], ARGV[1]) or '', '^(%d+) (.*)$')
      if known_server == server and tonumber(known) > tonumber(counter) then
        counter = known
      end
    end
    redis.call('HSET', KEYS[1], ARGV[1], counter .. ' ' .. server)
    if ARGV[6] then
      local now = redis.call('TIME')
      local since = tonumber(redis.call('HGET', KEYS[2], 'since') or '') or math.huge
      redis.call('HSET', KEYS[2], 'at', string.format('%.0f', now[1] * 1000 + math.floor(now[2] / 1000)),
        'since', string.format('%.0f', math.min(since, tonumber(ARGV[6]))))
      for place, field in ipairs({'results', 'jobs'}) do
        if type(redis.pcall('HINCRBY', KEYS[2], field, ARGV[6 + place])) == 'table' then
          redis.call('HSET', KEYS[2], field, ARGV[6 + place])
        end
      end
      redis.call('EXPIRE', KEYS[2], ARGV[4])
    end
"""
