"""Pause and resume a queue or a kind."""

from __future__ import annotations

from jobs import handlers
from noteflow.infrastructure.queue import keys
from worker.inspection.acts import Act, settle, told
from worker.inspection.fleet import read_fleet
from worker.inspection.kept_pauses import later_than, steering_alone
from worker.inspection.pauses import KIND, Pause, field_of, pause_value, read_pauses
from worker.inspection.sources import Sources


async def known_queues(sources: Sources, name: str) -> list[str]:
    """The queues that are served or set; `name` is among them if a job waits there. Raises RedisAway."""
    served = (await read_fleet(sources, await sources.now_ms())).queues(sources.queue_name)
    if name not in served and await sources.answer(sources.redis.type(name)) == b"zset":
        served.append(name)
    return served


async def known_kinds(sources: Sources) -> list[str]:
    """The kinds that this version or a live worker can do, or that are paused already. Raises RedisAway."""
    fleet = await read_fleet(sources, await sources.now_ms())
    served = {function for worker in fleet.alive for function in worker.functions}
    return sorted({*handlers(), *served, *(pause.name for pause in fleet.pauses if pause.scope == KIND)})


async def pause(sources: Sources, scope: str, name: str, *, reason: str, actor: str) -> Pause | None:
    """Let no worker claim from the queue, or run the kind, from its next claim on; what runs goes on.

    Gives the pause that this one replaced, None if there was none.

    Kept by both servers; while PostgreSQL is away by Redis alone, until it is back. Raises RedisAway.
    """
    now_ms = await sources.now_ms()
    async with steering_alone(sources, target := f"{scope}:{name}") as latest:
        at_ms = later_than(latest, now_ms)
        act = Act("pause", actor, target=target, note=reason, at_ms=at_ms)
        async with sources.redis.pipeline(transaction=True) as pipe:
            pipe.hget(keys.PAUSED, field := field_of(scope, name))
            pipe.hset(keys.PAUSED, field, pause_value(reason, actor, at_ms))
            pipe.execute_command(*told([act]))
            replaced, *_ = await sources.answer(pipe.execute())
        await settle(sources)
    return None if replaced is None else read_pauses({field.encode(): replaced})[0]


async def paused(sources: Sources) -> list[Pause]:
    """All that is paused. Raises RedisAway."""
    return (await read_fleet(sources, await sources.now_ms())).pauses


async def resume(sources: Sources, scope: str, name: str, *, actor: str) -> bool:
    """End a pause, in both servers; tell whether there was one in either. Idle workers notice within a second.

    Raises RedisAway.
    """
    now_ms = await sources.now_ms()
    async with steering_alone(sources, target := f"{scope}:{name}") as latest:
        is_kept = latest is not None and latest.act == "pause"
        if not await sources.answer(sources.redis.hexists(keys.PAUSED, field_of(scope, name))) and not is_kept:
            return False
        act = Act("resume", actor, target=target, at_ms=later_than(latest, now_ms))
        async with sources.redis.pipeline(transaction=True) as pipe:
            pipe.hdel(keys.PAUSED, field_of(scope, name))
            pipe.execute_command(*told([act]))
            await sources.answer(pipe.execute())
        await settle(sources)
    return True
