"""The engine's named settings reach the server."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from noteflow.infrastructure.persistence.engine import create_engine


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("application_name", "the recorder"),
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
