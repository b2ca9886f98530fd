"""The servers that all systems share, and a clean start for each."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast
from uuid import UUID

import asyncpg
from redis import Redis

from benchmarks.peers.board import Board
from benchmarks.peers.payloads import MEETINGS
from noteflow.domain.entities import Meeting
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from worker.embedded import EmbeddedPostgres, EmbeddedRedis
from worker.migrations import migrate

# Rewriting the append-only file is a matter of when it grew, and would hit one system by chance: we do it in between.
REDIS_SETTINGS: dict[str, str | int] = {"appendfsync": "everysec", "auto-aof-rewrite-percentage": 0}
POSTGRES_SETTINGS: dict[str, str | int] = {"max_connections": 200, "shared_buffers": "128MB"}
_KEEP = ("alembic_version",)


@dataclass(frozen=True, slots=True)
class Ground:
    """Both servers and the board."""

    redis_url: str = field(repr=False)
    database_url: str = field(repr=False)
    redis: Redis
    board: Board
    board_path: Path
    description: dict[str, str]

    def clear_redis(self) -> None:
        """Leave no key, and an append-only file that knows of none."""
        self.redis.flushall()
        self.redis.bgrewriteaof()  # type: ignore[no-untyped-call]
        while _fields(self.redis.info("persistence"))["aof_rewrite_in_progress"]:
            time.sleep(0.01)
        self.board.forget_jobs()

    def clear_database(self) -> None:
        """Leave the meetings that segments are stored under, and nothing else."""
        asyncio.run(_clear(self.database_url))

    def stored_segments(self) -> int:
        """How many segments the database holds."""
        return asyncio.run(_count(self.database_url))

    def commands(self) -> int:
        """How many commands Redis has carried out, those inside scripts included."""
        return sum(int(_fields(stats)["calls"]) for stats in _fields(self.redis.info("commandstats")).values())


@contextmanager
def ground(*, with_database: bool) -> Iterator[Ground]:
    """Servers of our own, as durable as they come: PostgreSQL flushes each commit, Redis its log once a second."""
    with (
        TemporaryDirectory(prefix="noteflow-board-") as home,
        EmbeddedRedis(append_only=True, settings=REDIS_SETTINGS, tcp=True) as redis_server,
        EmbeddedPostgres(settings=POSTGRES_SETTINGS, tcp=True) as postgres,
        Redis.from_url(redis_server.url()) as redis,
    ):
        path = Path(home) / "board"
        if with_database:
            asyncio.run(migrate(postgres.url()))
        yield Ground(
            redis_server.url(),
            postgres.url(),
            redis,
            Board.create(path),
            path,
            {"redis": redis_server.description, "postgres": postgres.description},
        )


async def _clear(database_url: str) -> None:
    connection = await asyncpg.connect(_driver_url(database_url))
    try:
        tables = await connection.fetch(
            "SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = 'public' AND tablename <> ALL($1)",
            list(_KEEP),
        )
        await connection.execute(f"TRUNCATE {', '.join(table['name'] for table in tables)} CASCADE")
    finally:
        await connection.close()
    engine = create_engine(database_url, pool_size=1)
    try:
        async with SqlAlchemyUnitOfWork(create_session_factory(engine), "meetings") as uow:
            for meeting_id in MEETINGS:
                await uow.meetings.create(Meeting(MeetingId(UUID(meeting_id)), "benchmark"))
            await uow.commit()
    finally:
        await engine.dispose()


async def _count(database_url: str) -> int:
    connection = await asyncpg.connect(_driver_url(database_url))
    try:
        return int(await connection.fetchval("SELECT count(*) FROM segments"))
    finally:
        await connection.close()


def _driver_url(database_url: str) -> str:
    return database_url.replace("+asyncpg", "", 1)


def _fields(answer: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", answer)
