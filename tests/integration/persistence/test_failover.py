"""Where one connection is found to lead to a read-only server, none that was open then is used again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from sqlalchemy import text

from noteflow.domain.errors import StorageUnavailable
from noteflow.infrastructure.persistence.driver import PooledDriver
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.persistence.transaction import Transaction
from tests.acceptance.judge import Judge
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

ENDS_IN_THE_PAST = "SELECT set_config('default_transaction_read_only', 'on', false)"
"""Makes this one session behave as if it led to the old primary."""


async def by_the_driver(engine: AsyncEngine) -> None:
    """A write as the hot path makes it."""
    async with PooledDriver(engine) as driver:
        await driver.fetch(ENDS_IN_THE_PAST)
        await driver.fetch("CREATE TABLE anything ()")


async def in_a_transaction(engine: AsyncEngine) -> None:
    """A write of a unit of work that has begun a transaction."""
    transaction = Transaction(engine)
    await transaction.run(text(ENDS_IN_THE_PAST))
    await transaction.commit()
    try:
        await transaction.run(text("CREATE TABLE anything ()"))
    finally:
        await transaction.rollback()


async def on_a_plain_connection(engine: AsyncEngine) -> None:
    """A write as the relay makes it, or a producer."""
    async with engine.connect() as connection:
        await connection.execute(text(ENDS_IN_THE_PAST))
        await connection.commit()
        await connection.execute(text("CREATE TABLE anything ()"))


@pytest.mark.parametrize("write", [by_the_driver, in_a_transaction, on_a_plain_connection])
async def test_those_at_rest_are_closed_at_once_and_those_in_use_when_they_come_back(
    write: Callable[[AsyncEngine], Awaitable[None]], database_url: str
) -> None:
    judge = Judge(database_url)
    engine = create_engine(database_url, pool_size=3, pool_pre_ping=False, application_name="victim")
    async with engine.connect() as one, engine.connect() as other, engine.connect() as third:
        before = {await pid_of(each) for each in (one, other, third)}
    async with engine.connect() as used:
        in_use = await pid_of(used)
        with pytest.raises(StorageUnavailable, match="25006"), translated():
            await write(engine)
        await eventually(lambda: open_are(judge, {in_use}))
        assert await pid_of(used) == in_use, "what was under way goes on"

    await eventually(lambda: open_are(judge, set()))
    async with engine.connect() as one, engine.connect() as other, engine.connect() as third:
        assert not {await pid_of(each) for each in (one, other, third)} & before
    await engine.dispose()


async def pid_of(connection: AsyncConnection) -> int:
    pid: int = await connection.scalar(text("SELECT pg_backend_pid()"))
    return pid


async def open_are(judge: Judge, pids: set[int]) -> bool:
    rows = await judge.ask("SELECT pid FROM pg_stat_activity WHERE application_name = 'victim'")
    return {row["pid"] for row in rows} == pids
