"""Forget results of jobs that PostgreSQL does not know any more, so that producers may ask for these jobs again."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from noteflow.domain.errors import Refused
from noteflow.domain.outcomes import AlreadyApplied, Applied, Superseded
from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.codec import deserialize

PAGE: Final = 500
LONGEST: Final = 16_384
"""In bytes: a result of ours holds no text, and one that is longer is left alone."""

CLOCKS: Final = timedelta(hours=1)
"""By so much may the clocks of a worker and of PostgreSQL differ: `check` has complained long before."""

_IN_LEDGER: Final = frozenset({Applied.name, AlreadyApplied.name, Superseded.name})


@dataclass(frozen=True, slots=True)
class _Result:
    """One result: `raw` as it was read, `ledger_ids` under which the ledger may know the job.

    A job whose result `is_in_ledger` has a ledger row, unless PostgreSQL lost it. Of the others (parked, dead) there
    may be none for an ordinary reason, too: an operator drops them.
    """

    job_id: str
    raw: bytes
    ledger_ids: tuple[str, str]
    is_in_ledger: bool


async def forget_stale_results(
    connection: AsyncConnection, redis: Redis, pruned_before: datetime | None, *, is_certain: bool
) -> int:
    """Forget the results of jobs that PostgreSQL lost, and return how many there were.

    Only the result of a job whose effect was committed shows a loss. The results of parked and dead jobs are
    forgotten with them, if the loss shows or `is_certain`. A result is compared after it was read, and a ledger row is
    there before its result: so none of a job that was just done is forgotten. Raises what the drivers raise.
    """
    forgotten, others = 0, list[_Result]()
    async for results in _results(redis, pruned_before):
        unknown = await _unknown(connection, results)
        forgotten += await _forget(redis, [result for result in unknown if result.is_in_ledger])
        others += [result for result in unknown if not result.is_in_ledger]
    if forgotten or is_certain:
        for begin in range(0, len(others), PAGE):
            forgotten += await _forget(redis, others[begin : begin + PAGE])
    return forgotten


async def _results(redis: Redis, pruned_before: datetime | None) -> AsyncIterator[list[_Result]]:
    store: Any = redis  # whose types are those of two clients at once
    since_ms = 0 if pruned_before is None else int((pruned_before + CLOCKS).timestamp() * 1000)
    cursor: int | None = None
    while cursor != 0:
        cursor, names = await store.scan(cursor or 0, match=f"{keys.RESULT_PREFIX}*", count=PAGE)
        async with redis.pipeline(transaction=False) as pipe:
            for name in names:
                pipe.getrange(name, 0, LONGEST)
            values = await pipe.execute(raise_on_error=False) if names else []
        read = (_read(name, raw, since_ms) for name, raw in zip(names, values, strict=True) if isinstance(raw, bytes))
        if results := [result for result in read if result is not None]:
            yield results


def _read(name: bytes, raw: bytes, since_ms: int) -> _Result | None:
    try:
        job_id = name.removeprefix(keys.RESULT_PREFIX.encode()).decode()
        message = deserialize(raw, allow_pickle=True)  # of plain data, and short
    except (Refused, UnicodeDecodeError):
        return None
    result, enqueued_ms, finished_ms = message.get("r"), message.get("et"), message.get("ft")
    if type(enqueued_ms) is not int or type(finished_ms) is not int or finished_ms < since_ms or "\x00" in job_id:
        return None
    told = result.get("outcome") if isinstance(result, dict) else None
    outcome = told if isinstance(told, str) else None
    is_dead = message.get("s") is False and type(result).__name__ != "CancelledError"
    if outcome not in _IN_LEDGER and outcome != "parked" and not is_dead:
        return None
    return _Result(job_id, raw, (job_id, f"{job_id}@{enqueued_ms}"), outcome in _IN_LEDGER)


async def _unknown(connection: AsyncConnection, results: Sequence[_Result]) -> list[_Result]:
    """Return those whose jobs PostgreSQL does not know as their results have it."""
    asked = {
        "ledger_ids": [ledger_id for result in results for ledger_id in result.ledger_ids],
        "others": [result.job_id for result in results if not result.is_in_ledger],
    }
    rows = (await connection.execute(text(_KNOWN), asked)).all()
    finished = {row.job_id for row in rows if row.is_finished}
    kept = {row.job_id for row in rows if not row.is_finished}
    return [
        result
        for result in results
        if not finished.intersection(result.ledger_ids) and (result.is_in_ledger or result.job_id not in kept)
    ]


async def _forget(redis: Redis, results: Collection[_Result]) -> int:
    if not results:
        return 0
    call: Callable[..., Awaitable[Any]] = redis.execute_command  # which has no types
    argv = [part for result in results for part in (result.job_id, result.raw)]
    forgotten: int = await call("EVAL", _FORGET, 0, *argv)
    return forgotten


_KNOWN = """
    SELECT job_id, true AS is_finished FROM job_ledger WHERE job_id = ANY (:ledger_ids)
    UNION ALL SELECT job_id, false FROM outbox WHERE job_id = ANY (:others)
    UNION ALL SELECT job_id, false FROM dead_letters WHERE job_id = ANY (:others)
"""

# Another result under the same id is that of a later run. A dead letter in Redis is not in PostgreSQL yet.
_FORGET = """
    local forgotten = 0
    for i = 1, #ARGV, 2 do
      local result = 'arq:result:' .. ARGV[i]
      if redis.pcall('GET', result) == ARGV[i + 1] and redis.call('EXISTS', 'arq:dead:letter:' .. ARGV[i]) == 0 then
        forgotten = forgotten + redis.call('DEL', result)
      end
    end
    return forgotten
"""
