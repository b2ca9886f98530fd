"""Ingestion without any queue: a naive ORM unit, one lean statement on the driver, our unit of work.

A program, told the way and how many batches to store at once. A JSON object a line asks for a loop, and is answered.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import asyncpg
import uvloop

from benchmarks.peers.naive import NaiveStore
from benchmarks.peers.payloads import arguments_of
from jobs import handlers
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.wire import command_from

URL_VARIABLE = "BENCHMARK_DATABASE_URL"
_COLUMNS = ("segment_id", "start_time", "end_time", "text", "speaker", "language", "confidence")
# The leanest statement that could do: a yardstick of its own, so that it stays when the product's statement changes.
_STATEMENT = """
    INSERT INTO segments (meeting_id, revision, segment_id, start_time, end_time, text, speaker, language, confidence)
    SELECT $1, 0, * FROM unnest($2::int[], $3::float8[], $4::float8[], $5::text[], $6::text[], $7::text[], $8::float8[])
    ON CONFLICT (meeting_id, segment_id) DO NOTHING
"""
Store = Callable[[str, list[dict[str, Any]]], Awaitable[None]]


async def main(way: str, at_once: int) -> None:
    """Answer until standard input ends. Connections stay open from one loop to the next."""
    async with _WAYS[way](os.environ[URL_VARIABLE], at_once) as store:
        for line in sys.stdin:
            print(json.dumps(await _loop(store, at_once, **json.loads(line))), flush=True)


async def _loop(store: Store, at_once: int, first: int, count: int, size: int) -> dict[str, float]:
    payloads = iter([arguments_of("ingest", index, size) for index in range(first, first + count)])
    began, cpu_began = time.perf_counter(), time.process_time()
    await asyncio.gather(*(_store_all(store, payloads) for _ in range(at_once)))
    return {"seconds": time.perf_counter() - began, "cpu_s": time.process_time() - cpu_began}


async def _store_all(store: Store, waiting: Iterator[dict[str, Any]]) -> None:
    for payload in waiting:
        await store(payload["meeting_id"], payload["segments"])


@asynccontextmanager
async def _naive(url: str, at_once: int) -> AsyncIterator[Store]:
    async with NaiveStore(url, pool_size=at_once) as store:
        yield store.add


@asynccontextmanager
async def _driver(url: str, at_once: int) -> AsyncIterator[Store]:
    async with asyncpg.create_pool(url.replace("+asyncpg", "", 1), min_size=at_once, max_size=at_once) as pool:

        async def store(meeting_id: str, segments: list[dict[str, Any]]) -> None:
            columns = [[segment[name] for segment in segments] for name in _COLUMNS]
            async with pool.acquire() as connection:
                await connection.execute(_STATEMENT, UUID(meeting_id), *columns)

        yield store


@asynccontextmanager
async def _unit(url: str, at_once: int) -> AsyncIterator[Store]:
    engine = create_engine(url, pool_size=at_once, pool_pre_ping=False)
    sessions = create_session_factory(engine)
    handler = handlers()["ingest_segments"]

    async def store(meeting_id: str, segments: list[dict[str, Any]]) -> None:
        command = command_from("ingest_segments", (), {"meeting_id": meeting_id, "segments": segments})
        async with SqlAlchemyUnitOfWork(sessions, "meetings") as uow:
            await handler(uow, command)
            await uow.commit()

    try:
        yield store
    finally:
        await engine.dispose()


_WAYS = {"naive": _naive, "driver": _driver, "unit": _unit}


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main(sys.argv[1], int(sys.argv[2])))
