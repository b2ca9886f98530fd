"""Redis: does it answer, in time, does it keep what it is given?"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterator
from typing import Any, Final

from redis.exceptions import ResponseError

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES
from worker.inspection.checks.cures import redis_cure
from worker.inspection.checks.finding import Finding, error, ok, warning
from worker.inspection.sources import RedisAway, Sources

OLDEST: Final = (6, 2)
SLOW_MS: Final = 10.0
SHOWN: Final = 5


async def check_redis(sources: Sources) -> list[Finding]:
    """Its version, role, persistence, eviction, memory, latency, and a write."""
    subject = "redis"
    try:
        info = await sources.answer(sources.redis.info())
    except RedisAway as away:
        words = f": {away.__cause__}" if isinstance(away.__cause__, ResponseError) else ""
        return [error(subject, f"{away}{words}", redis_cure(away))]
    return [
        _version(info),
        _role(info),
        _persistence(info),
        await _eviction(sources, info),
        _memory(info),
        *_clients(info),
        await _latency(sources),
        await _write(sources),
        *_blocked(info),
        *await _set_aside(sources),
    ]


def _version(info: dict[str, Any]) -> Finding:
    name = "Valkey" if "valkey_version" in info else "Redis"
    version = str(info.get("valkey_version") or info["redis_version"])
    # Valkey tells, for old clients, the Redis version that it is like.
    compatible = tuple(int(part) for part in str(info["redis_version"]).split(".")[:2])
    if compatible < OLDEST:
        return error("redis version", f"{name} {version}", "6.2 or newer is needed (CLIENT TRACKING, GETDEL)")
    return ok("redis version", f"{name} {version}")


def _role(info: dict[str, Any]) -> Finding:
    if info.get("cluster_enabled"):
        return error("redis role", "a cluster", "the scripts touch keys of several slots: use one primary")
    if info.get("role") != "master":
        return error("redis role", "a replica, which is read-only", "point REDIS_URL at the primary")
    return ok("redis role", f"primary, {info.get('connected_slaves', 0)} replicas")


def _persistence(info: dict[str, Any]) -> Finding:
    if info.get("aof_enabled"):
        if info.get("aof_last_write_status", "ok") != "ok":
            return error("redis persistence", "the last write of the append-only file failed", "look at its disk")
        return ok("redis persistence", "append-only file")
    if info.get("rdb_last_bgsave_status", "ok") != "ok":
        return error("redis persistence", "the last snapshot failed", "look at its disk")
    cure = "appendonly yes; until then only what came through the outbox survives a crash of Redis"
    return warning("redis persistence", "no append-only file: a crash forgets what waits", cure)


async def _eviction(sources: Sources, info: dict[str, Any]) -> Finding:
    policy = info.get("maxmemory_policy")
    if policy is None:
        try:
            policy = (await sources.redis.config_get("maxmemory-policy"))["maxmemory-policy"]
        except (*REDIS_FAILURES, KeyError):
            return warning("redis eviction", "it does not say", "see that maxmemory-policy is noeviction")
    if policy != "noeviction":
        return error("redis eviction", str(policy), "maxmemory-policy noeviction: the queue is not a cache")
    return ok("redis eviction", "noeviction")


def _memory(info: dict[str, Any]) -> Finding:
    used, most = info["used_memory"], info.get("maxmemory", 0)
    if not most:
        return warning("redis memory", f"{used / 2**20:,.1f} MiB used, no limit", "set maxmemory below the machine's")
    share = used / most
    told = f"{used / 2**20:,.1f} of {most / 2**20:,.0f} MiB used ({share:.0%})"
    if share >= 1:
        return error("redis memory", told, "it refuses new jobs: let workers empty it, or give it more")
    return (warning if share > 0.8 else ok)("redis memory", told)


def _clients(info: dict[str, Any]) -> Iterator[Finding]:
    most, used = info.get("maxclients"), info.get("connected_clients", 0)
    if most and used > 0.8 * most:
        yield warning("redis clients", f"{used} of {most} connections in use", "raise maxclients")


async def _latency(sources: Sources) -> Finding:
    times = []
    try:
        for _ in range(20):
            start = time.perf_counter()
            await sources.redis.ping()
            times.append((time.perf_counter() - start) * 1000)
    except REDIS_FAILURES as failure:
        return error("redis latency", f"it stopped answering ({type(failure).__name__})")
    times.sort()
    told = f"median {times[len(times) // 2]:.1f} ms, slowest of 20 {times[-1]:.1f} ms"
    return (warning if times[len(times) // 2] > SLOW_MS else ok)("redis latency", told)


async def _write(sources: Sources) -> Finding:
    key = f"arq:check:{uuid.uuid4().hex}"
    try:
        written = await sources.redis.set(key, b"written", px=10_000)
        read = await sources.redis.execute_command("GETDEL", key)
    except ResponseError as failure:
        return error("redis write", f"refused: {failure}")  # of our own key: there is nothing to hide
    except REDIS_FAILURES as failure:
        return error("redis write", type(failure).__name__)
    return (
        ok("redis write", "written, read, deleted") if written and read == b"written" else error("redis write", "lost")
    )


async def _set_aside(sources: Sources) -> list[Finding]:
    """Keys of ours that held another type: who writes there, writes again."""
    try:
        number, (_, some) = await asyncio.gather(
            sources.redis.hlen(keys.SET_ASIDE), sources.redis.hscan(keys.SET_ASIDE, count=SHOWN)
        )
    except ResponseError:
        found = "arq:set-aside holds another type, so the keys that were set aside cannot be counted"
        return [warning("redis keys", found, "DEL arq:set-aside, and look for keys that begin with arq:set-aside:")]
    except REDIS_FAILURES as failure:
        return [error("redis keys", f"it stopped answering ({type(failure).__name__})")]
    if not number:
        return []
    names = ", ".join(sorted(name.decode("utf-8", "backslashreplace") for name in some)[:SHOWN])
    found = f"{number:,} held another type, or no number, and were set aside: {names}"
    return [warning("redis keys", found, "look at arq:set-aside:<key>: what writes there? then DEL arq:set-aside")]


def _blocked(info: dict[str, Any]) -> Iterator[Finding]:
    if info.get("loading"):
        yield warning("redis loading", "it is reading its data from disk", "wait")
