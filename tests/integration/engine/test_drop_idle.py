"""Closing what rests in a pool, while somebody takes from it."""

from __future__ import annotations

import asyncio

from arq.connections import ArqRedis

from worker.engine.connections import drop_idle


async def test_no_connection_is_lent_while_it_is_being_closed(redis: ArqRedis) -> None:
    pool = redis.connection_pool
    for connection in [await pool.get_connection() for _ in range(5)]:
        await pool.release(connection)
    answers = await asyncio.gather(drop_idle(pool), *[redis.echo(str(number)) for number in range(5)])
    assert answers[1:] == [b"0", b"1", b"2", b"3", b"4"]
