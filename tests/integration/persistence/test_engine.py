"""The engine's named settings reach the server."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

from noteflow.infrastructure.persistence.driver import PooledDriver
from noteflow.infrastructure.persistence.engine import checked_out, create_engine


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("application_name", "the recorder"),
        ("default_transaction_isolation", "read committed"),
        ("lock_timeout", "1500ms"),
        ("idle_in_transaction_session_timeout", "2min"),
    ],
)
async def test_a_setting_reaches_every_session(database_url: str, setting: str, expected: str) -> None:
    engine = create_engine(
        database_url, application_name="the recorder", lock_timeout_s=1.5, idle_in_transaction_timeout_s=120
    )
    async with engine.connect() as connection:
        assert await connection.scalar(text(f"SHOW {setting}")) == expected
    await engine.dispose()


async def test_the_pool_holds_as_many_connections_as_it_was_told(database_url: str) -> None:
    engine = create_engine(database_url, pool_size=2, max_overflow=1, pool_timeout_s=0.1)
    async with engine.connect(), engine.connect(), engine.connect():
        with pytest.raises(PoolTimeoutError, match="limit of size 2 overflow 1"):
            await engine.connect()
    await engine.dispose()


async def test_a_cancelled_checkout_leaves_the_pool_whole(database_url: str) -> None:
    engine = create_engine(database_url, pool_size=1, pool_timeout_s=20)
    async with engine.connect():
        waiting = asyncio.create_task(engine.connect().start())
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
    async with engine.connect() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1
    await engine.dispose()


async def backend_of(engine: AsyncEngine) -> int:
    """Which session of the server the pool hands out next; it goes back at once."""
    async with PooledDriver(engine) as driver:
        (row,) = await driver.fetch("SELECT pg_backend_pid() AS pid")
    pid: int = row["pid"]
    return pid


@pytest.mark.parametrize("pre_ping", [False, True])
async def test_a_connection_that_rests_is_used_again_and_no_other_is_made(database_url: str, pre_ping: bool) -> None:
    engine = create_engine(database_url, pool_size=3, pool_pre_ping=pre_ping)
    assert len({await backend_of(engine) for _ in range(5)}) == 1
    assert isinstance(engine.pool, QueuePool)
    assert (engine.pool.checkedin(), engine.pool.checkedout()) == (1, 0)
    await engine.dispose()


async def test_a_connection_that_rests_is_taken_without_waiting(database_url: str) -> None:
    engine = create_engine(database_url, pool_pre_ping=False)
    await backend_of(engine)
    with pytest.raises(StopIteration) as taken:
        checked_out(engine).send(None)
    taken.value.value.close()
    await engine.dispose()


@pytest.mark.parametrize("pre_ping", [False, True])
async def test_a_connection_that_was_closed_while_it_rested_is_replaced(database_url: str, pre_ping: bool) -> None:
    engine = create_engine(database_url, pool_size=3, pool_pre_ping=pre_ping)
    first = await backend_of(engine)
    async with engine.connect() as connection:
        driver_connection: Any = (await connection.get_raw_connection()).driver_connection
    driver_connection.terminate()
    assert await backend_of(engine) != first
    assert isinstance(engine.pool, QueuePool)
    assert engine.pool.checkedout() == 0
    await engine.dispose()
