"""Revision 0006 on data, in use, up and down."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

import asyncpg
import pytest
from alembic import command

from tests.databases import driver_url
from tests.integration.persistence.test_migrations import REVISIONS, alembic
from worker.outbox.waking import follow_wake_ups

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

BEFORE = REVISIONS[REVISIONS.index("0006") - 1]
CREATE = (
    "INSERT INTO meetings (id, title, state, version, sequence, created_at) VALUES ($1, 'New', 'CREATED', 1, 0, now())"
)
PARK = """
    INSERT INTO outbox (job_id, queue, kind, meeting_id, body, state, awaits, missing, parked_at)
    VALUES ($1, 'arq:queue', 'ingest_segments', $2, '', 'parked', 'meeting', 'a meeting', now())
"""


@asynccontextmanager
async def session(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(driver_url(url))
    try:
        yield connection
    finally:
        await connection.close()


async def states(connection: asyncpg.Connection) -> dict[str, str]:
    return {row["job_id"]: row["state"] for row in await connection.fetch("SELECT job_id, state FROM outbox")}


async def parked(connection: asyncpg.Connection, job_id: str) -> UUID:
    meeting = uuid4()
    await connection.execute(PARK, job_id, meeting)
    return meeting


async def test_upgrading_wakes_the_jobs_whose_wake_up_was_lost_before(database_url: str, engine: AsyncEngine) -> None:
    await alembic(database_url, lambda config: command.downgrade(config, BEFORE))
    async with session(database_url) as connection:
        meeting = uuid4()
        await connection.execute(CREATE, meeting)
        await connection.execute(PARK, "lost", meeting)  # as if its snapshot had hidden it from the creation
        await parked(connection, "early")
        await alembic(database_url, lambda config: command.upgrade(config, "0006"))
        assert (await follow_wake_ups(engine)).woken == 1
        assert await states(connection) == {"lost": "waiting", "early": "parked"}


async def test_downgrading_follows_the_records_that_are_left(database_url: str) -> None:
    async with session(database_url) as connection:
        meeting = await parked(connection, "called")
        await parked(connection, "early")
        async with connection.transaction(isolation="repeatable_read"):
            await connection.execute(CREATE, meeting)
        assert await states(connection) == {"called": "parked", "early": "parked"}
        await alembic(database_url, lambda config: command.downgrade(config, BEFORE))
        assert await states(connection) == {"called": "waiting", "early": "parked"}


@pytest.mark.parametrize("level", ["read_committed", "serializable"])
async def test_transactions_in_flight_go_on_and_hold_up_nothing(level: str, database_url: str) -> None:
    """What a worker of the version before does at its level wakes as it did, during the migration and after it."""
    await alembic(database_url, lambda config: command.downgrade(config, BEFORE))
    async with session(database_url) as connection, asyncio.timeout(30):
        meetings = [await parked(connection, job_id) for job_id in ("first", "second", "third")]
        async with connection.transaction(isolation=level):
            await connection.execute(CREATE, meetings[0])
            await alembic(database_url, lambda config: command.upgrade(config, "0006"))
            await connection.execute(CREATE, meetings[1])
        await connection.execute(CREATE, meetings[2])
        recorded = [] if level == "read_committed" else [meetings[1]]
        assert [row["meeting_id"] for row in await connection.fetch("SELECT meeting_id FROM wake_ups")] == recorded
        parked_still = [job for job, state in (await states(connection)).items() if state == "parked"]
        assert parked_still == (["second"] if recorded else [])
