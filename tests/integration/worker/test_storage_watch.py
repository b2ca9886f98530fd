"""A worker knows when PostgreSQL is away, also when it has nothing to do, and when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest
from redis.asyncio import Redis
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from noteflow.domain.errors import StorageUnavailable
from noteflow.infrastructure.persistence.engine import create_engine
from tests.acceptance.judge import Judge
from tests.conftest import OwnPostgres
from tests.small_disk import SmallDiskPostgres
from tests.waiting import eventually
from worker.engine.gate import Gate
from worker.logs import logger
from worker.migrations import migrate
from worker.outbox import Relay
from worker.storage_room import QUIET_S
from worker.storage_watch import REASON, StorageWatch, storage_doubt

NO_ROOM = StorageUnavailable("PostgreSQL has no room left on its disk (SQLSTATE 53100)")
NO_ROOM.__cause__ = asyncpg.DiskFullError("could not extend file")


@asynccontextmanager
async def watching(url: str) -> AsyncIterator[tuple[StorageWatch, Gate, AsyncEngine]]:
    engine = create_engine(url, pool_size=3, pool_pre_ping=False, connect_timeout_s=1)
    gate = Gate()
    watch = StorageWatch(engine, gate, logger(), longest_pause_s=0.1)
    yield watch, gate, engine
    await watch.close()
    await engine.dispose()


async def test_a_false_alarm_closes_the_gate_for_a_moment_and_is_not_told(database_url: str) -> None:
    with capture_logs() as lines:
        async with watching(database_url) as (watch, gate, _):
            watch.suspect()
            assert gate.reasons == (REASON,)
            await watch.answered()
            assert gate.is_open
    assert lines == []


async def test_the_gate_is_closed_until_postgresql_answers_again_and_both_are_told_once(
    own_postgres: OwnPostgres,
) -> None:
    server = own_postgres()
    with capture_logs() as lines:
        async with watching(server.url("noteflow")) as (watch, gate, _):
            await asyncio.to_thread(server.stop, "immediate")
            for _ in range(3):
                watch.suspect()
            await eventually(lambda: lines)
            assert not gate.is_open
            await asyncio.to_thread(server.start)
            await watch.answered()
            assert gate.is_open
    assert [line["event"] for line in lines] == ["storage.down", "storage.up"]


async def test_a_database_without_our_tables_is_away_until_they_are_there(own_postgres: OwnPostgres) -> None:
    url = own_postgres().url("postgres")
    with capture_logs() as lines:
        async with watching(url) as (watch, gate, _):
            watch.suspect()
            await eventually(lambda: lines)
            assert not gate.is_open
            await migrate(url)
            await watch.answered()
            assert gate.is_open
    assert "migrations were not run" in lines[0]["reason"]


async def test_a_read_only_server_is_not_back_until_it_takes_writes(own_postgres: OwnPostgres) -> None:
    server = own_postgres()
    async with watching(server.url("noteflow")) as (watch, gate, engine):
        await make_read_only(engine, "on")
        await engine.dispose()
        with capture_logs() as lines:
            watch.suspect()
            await eventually(lambda: lines)
            assert lines[0]["reason"] == "it is read-only"
            assert not gate.is_open
            # Connections that were opened to the old primary would say so for ever.
            await make_read_only(engine, "off")
            await asyncio.wait_for(watch.answered(), 10)
        assert gate.is_open


async def test_no_connection_that_was_opened_while_it_was_read_only_outlasts_that(own_postgres: OwnPostgres) -> None:
    server = own_postgres()
    judge = Judge(server.url("noteflow"))
    async with watching(judge.database_url) as (watch, _, engine):
        await make_read_only(engine, "on")
        with capture_logs() as lines:
            await eventually(lambda: _suspected(watch) and lines)
            async with engine.connect() as connection:  # somebody who only reads, between two questions
                there = await connection.scalar(text("SELECT pg_backend_pid()"))
                await judge.ask("ALTER SYSTEM SET default_transaction_read_only = off")
                await judge.ask("SELECT pg_reload_conf()")
                await watch.answered()
        gone = f"SELECT WHERE NOT EXISTS (SELECT FROM pg_stat_activity WHERE pid = {there})"
        await eventually(lambda: judge.ask(gone))


async def test_a_full_disk_is_no_answer_although_it_can_be_read_from(small_disk: SmallDiskPostgres) -> None:
    await small_disk.settle()
    with capture_logs() as lines:
        async with watching(small_disk.url("noteflow")) as (watch, gate, engine):
            assert await storage_doubt(engine) is None
            await asyncio.to_thread(small_disk.fill)
            assert await storage_doubt(engine) is None
            watch.suspect(NO_ROOM)
            assert gate.reasons == (f"{REASON}: {NO_ROOM}",)
            await eventually(lambda: lines)
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(watch.answered(), 3 * QUIET_S / 2)
            small_disk.make_room()
            await watch.answered()
            assert gate.is_open
    assert [line["event"] for line in lines] == ["storage.down", "storage.up"]
    assert "has no room left on its disk" in lines[0]["reason"]


async def test_while_attempts_find_no_room_one_job_after_the_other_is_tried(database_url: str) -> None:
    """Whatever a probe finds: a quota, another disk, memory."""
    async with watching(database_url) as (watch, gate, _):
        watch.suspect(NO_ROOM)
        for _ in range(2):
            await eventually(lambda: gate.most(5) == 1)
            gate.passed()
            assert gate.most(5) == 0
            watch.suspect(NO_ROOM)  # the job that was let through met it again
        assert gate.reasons == (f"{REASON}: {NO_ROOM}",)
        await watch.answered()
        assert gate.is_open


async def test_an_idle_worker_notices_too(own_postgres: OwnPostgres, redis_url: str) -> None:
    server = own_postgres()
    async with watching(server.url("noteflow")) as (watch, gate, engine), Redis.from_url(redis_url) as redis:
        relay = asyncio.create_task(Relay(engine, redis, logger(), on_unavailable=watch.suspect).run())
        await eventually(lambda: engine.pool.checkedout())  # type: ignore[attr-defined]  # it listens
        await asyncio.to_thread(server.stop, "immediate")
        await eventually(lambda: not gate.is_open)
        await asyncio.to_thread(server.start)
        await eventually(lambda: gate.is_open)
        relay.cancel()
        await asyncio.gather(relay, return_exceptions=True)


def test_whoever_asked_is_told_when_the_reasons_change_and_not_otherwise() -> None:
    gate, changes = Gate(), list[tuple[str, ...]]()
    gate.on_change = lambda: changes.append(gate.reasons)
    for act in (gate.close, gate.close, gate.open, gate.open):
        act(REASON)
    assert changes == [(REASON,), ()]


def _suspected(watch: StorageWatch) -> bool:
    watch.suspect()
    return True


async def make_read_only(engine: AsyncEngine, value: str) -> None:
    async with engine.connect() as connection:
        await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.execute(text(f"ALTER SYSTEM SET default_transaction_read_only = {value}"))
        await connection.execute(text("SELECT pg_reload_conf()"))
