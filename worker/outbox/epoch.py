"""Notices that Redis is not the one that was written to, or has lost everything: by a mark that was left there."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ReadOnlyError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.queue import keys
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES, unavailable, without_arguments

PAGE = 5_000


async def notice_loss(engine: AsyncEngine, redis: Redis) -> int:
    """Have every dispatched row looked at again if Redis may have lost some; say how many.

    The mark is the run id of the server that holds it. It is gone after a FLUSHALL, and another after a restart or a
    failover, from which Redis may have come back with all, some or nothing of what it held. The rows come first: a
    crash in between repeats them, and forgets none.
    """
    found, run_id = await _mark_and_run_id(redis)
    if found == run_id:
        return 0
    doubted = await _doubt_all(engine)
    try:
        await redis.set(keys.OUTBOX_MARK, run_id)
    except REDIS_FAILURES as error:
        raise unavailable(error, "the outbox's Redis") from without_arguments(error)
    return doubted


async def _mark_and_run_id(redis: Redis) -> tuple[bytes | None, bytes]:
    try:
        async with redis.pipeline(transaction=False) as pipe:
            pipe.get(keys.OUTBOX_MARK)
            pipe.info("server")
            pipe.info("replication")
            mark, server, replication = await pipe.execute(raise_on_error=False)
        if isinstance(mark, Exception):
            raise mark
        if isinstance(replication, dict) and replication.get("slave_read_only") == 1:
            # Asked for what it has, it would answer with the past, for as long as we are connected to it.
            await redis.connection_pool.disconnect(inuse_connections=False)
            raise ReadOnlyError("it follows another server")
    except REDIS_FAILURES as error:
        raise unavailable(error, "the outbox's Redis") from without_arguments(error)
    return mark, _run_id(server)


def _run_id(server: Any) -> bytes:
    # Where INFO is not permitted, there is still the mark's absence to go by.
    return str(server.get("run_id", "unknown") if isinstance(server, dict) else "unknown").encode()


async def _doubt_all(engine: AsyncEngine) -> int:
    """Make every dispatched row due; by pages, so that no job has to wait long for its row."""
    doubted, page = 0, PAGE
    moment: datetime | None = None
    while page == PAGE:
        async with engine.begin() as connection:
            moment = moment or await connection.scalar(text("SELECT clock_timestamp()"))
            page = (await connection.execute(text(_DOUBT), {"moment": moment, "page": PAGE})).rowcount
        doubted += page
    return doubted


# All get one moment, so that they are dispatched in the order in which they were asked for.
_DOUBT = """
    UPDATE outbox SET due_at = :moment WHERE job_id IN (
        SELECT job_id FROM outbox WHERE state = 'dispatched' AND due_at > :moment ORDER BY due_at LIMIT :page)
"""
