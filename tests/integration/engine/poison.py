"""What no producer should put into Redis, and how it gets there."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from arq.connections import ArqRedis

from tests.integration.engine.jobs import QUEUE, Ctx, now_ms
from tests.waiting import eventually

Poison = Callable[[ArqRedis], Awaitable[Any]]


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/noteflow-was-here",)


def raw(payload: bytes, job_id: bytes = b"bad", score: float | str | None = None) -> Poison:
    async def enqueue(redis: ArqRedis) -> None:
        await redis.set(b"arq:job:" + job_id, payload)
        await redis.zadd(QUEUE, {job_id: now_ms() if score is None else score})

    return enqueue


def json(**fields: Any) -> Poison:
    good: dict[str, Any] = {"t": None, "f": "fine", "a": [], "k": {}, "et": now_ms()}
    return raw(msgspec.json.encode({**good, **fields}))


def lacking(field: str) -> Poison:
    good: dict[str, Any] = {"t": None, "f": "fine", "a": [], "k": {}, "et": now_ms()}
    return raw(msgspec.json.encode({name: value for name, value in good.items() if name != field}))


async def no_body(redis: ArqRedis) -> None:
    await redis.zadd(QUEUE, {"bad": now_ms()})


async def expired_body(redis: ArqRedis) -> None:
    await redis.enqueue_job("fine", _job_id="bad", _expires=0.001)
    await eventually(lambda: gone(redis, "arq:job:bad"))


async def gone(redis: ArqRedis, key: str) -> bool:
    return not await redis.exists(key)


async def body_of_wrong_type(redis: Any) -> None:
    await redis.hset("arq:job:bad", "a", "b")
    await redis.zadd(QUEUE, {"bad": now_ms()})


async def fine(ctx: Ctx) -> str:
    return "fine"


async def is_letter(redis: Any, job_id: str) -> bool:
    return bool(await redis.type(f"arq:dead:letter:{job_id}") == b"hash")
