"""May a worker do in Redis what it does: run its scripts on its keys, be woken, read its queue?"""

from __future__ import annotations

import uuid
from typing import Any, Final

from redis.exceptions import ResponseError

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES
from worker.engine.connections import wake_connection
from worker.inspection.checks.finding import Finding, error, ok, warning
from worker.inspection.sources import CONNECT_PATIENCE_S, Sources

_RIGHTS: Final = "see the ACL of a worker's user in docs/engine.md"
_PREFIXES: Final = (
    keys.JOB_PREFIX, keys.IN_PROGRESS_PREFIX, keys.RETRY_PREFIX, keys.RESULT_PREFIX, keys.SHELVES_PREFIX,
    keys.LEASES_PREFIX, keys.HOLDERS_PREFIX, keys.ERRORS_PREFIX, keys.CRASHES_PREFIX, keys.UNKNOWN_PREFIX,
    keys.HANDED_BACK_PREFIX, keys.DEAD_LETTER_PREFIX, keys.WORKER_PREFIX, keys.CRON_PREFIX,
)  # fmt: skip

# The queue is KEYS[1], then a key of each kind; ARGV[1] is an id that no job has.
_LIKE_A_WORKER: Final = """
    redis.call('ZREM', KEYS[1], ARGV[1])
    redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', '-inf', 'LIMIT', 0, 1)
    redis.call('TIME')
    for place = 2, #KEYS do
        redis.call('SET', KEYS[place], 1, 'PX', 1000)
        redis.call('INCR', KEYS[place])
        redis.call('DEL', KEYS[place])
        redis.call('HSET', KEYS[place], 'field', 'value')
        redis.call('PEXPIRE', KEYS[place], 1000)
        redis.call('DEL', KEYS[place])
        redis.call('ZADD', KEYS[place], 1, 'member')
        redis.call('DEL', KEYS[place])
    end
"""


async def check_rights(sources: Sources) -> list[Finding]:
    """The queue, the scripts and the wake-ups, tried over connections like a worker's."""
    queue = await _queue(sources)
    return [queue, await _scripts(sources), await _wake_ups(sources)]


async def _queue(sources: Sources) -> Finding:
    subject = "redis queue"
    try:
        kind = (await sources.redis.type(sources.queue_name)).decode()
        if kind not in ("zset", "none"):
            found = f"the key {sources.queue_name} holds a {kind}, and no worker can claim from it"
            return error(subject, found, "set QUEUE_NAME to another name, or delete that key")
        waiting = await sources.redis.zcard(sources.queue_name)
    except ResponseError as refusal:
        return error(subject, f"refused: {refusal}", _RIGHTS)
    except REDIS_FAILURES as failure:
        return error(subject, type(failure).__name__)
    return ok(subject, f"{sources.queue_name}, {waiting:,} waiting")


async def _scripts(sources: Sources) -> Finding:
    """A script that writes to keys like a worker's, of which none stays."""
    subject, name = "redis scripts", f"check:{uuid.uuid4().hex}"
    try:
        await _run(sources, [sources.queue_name, *(f"{prefix}{name}" for prefix in _PREFIXES)], [name])
    except ResponseError as refusal:
        return error(subject, f"refused: {refusal}", _RIGHTS)  # of our own keys: there is nothing to hide
    except REDIS_FAILURES as failure:
        return error(subject, type(failure).__name__)
    return ok(subject, "a script ran, and wrote to keys like a worker's")


async def _run(sources: Sources, names: list[str], arguments: list[str]) -> None:
    """By its digest, and taught to the server first, as a worker does."""
    digest = await sources.redis.script_load(_LIKE_A_WORKER)
    await sources.redis.evalsha(digest, len(names), *names, *arguments)


async def _wake_ups(sources: Sources) -> Finding:
    subject = "redis wake-ups"
    connection: Any = wake_connection(sources.redis.connection_pool, CONNECT_PATIENCE_S)
    try:
        await connection.connect()
        await connection.send_command("CLIENT", "TRACKING", "ON")
        await connection.read_response(timeout=CONNECT_PATIENCE_S)
    except ResponseError as refusal:
        return warning(subject, f"CLIENT TRACKING is refused, so workers poll: {refusal}", _RIGHTS)
    except REDIS_FAILURES as failure:
        return warning(subject, f"no connection for them, so workers poll ({type(failure).__name__})")
    finally:
        await connection.disconnect(nowait=True)
    return ok(subject, "the server calls when a queue changes")
