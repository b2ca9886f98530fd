"""A migration runs while jobs flow: it holds its locks for long, and what prepared statements return is changed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import asyncpg

from tests.acceptance.judge import Judge
from tests.acceptance.shift import begin_shift
from tests.databases import driver_url
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.acceptance.conftest import StartWorkers
    from tests.conftest import OwnPostgres

IMPATIENT = {
    "DATABASE_LOCK_TIMEOUT_S": "0.2",
    "DATABASE_COMMAND_TIMEOUT_S": "1",
    "DATABASE_POOL_TIMEOUT_S": "1",
    "RETRY_BUDGET_S": "1",
}
"""A lock that outlasts every budget of a claim need not be held for long."""


async def test_jobs_outwait_its_locks_and_what_they_had_prepared_is_prepared_anew(
    own_postgres: OwnPostgres, redis_url: str, start_workers: StartWorkers
) -> None:
    server = own_postgres()
    judge = Judge(server.url("noteflow"))
    shift = await begin_shift(judge, redis_url, start_workers, jobs=300, settings=IMPATIENT)
    migration = await asyncpg.connect(driver_url(judge.database_url))
    async with migration.transaction():
        # In the order in which a job takes them, or one of the two would have to give way to the other.
        await migration.execute("ALTER TABLE segments ADD COLUMN loudness real")
        await migration.execute("ALTER TABLE meetings ADD COLUMN agenda text")
        await eventually(lambda: shift.told("job.handed_back") == shift.workers, within_s=30)
    done_at = time.time()
    await migration.close()
    await shift.ended()

    await shift.verdict()
    told = server.log.read_text()
    assert "canceling statement due to lock timeout" in told
    assert "cached plan must not change result type" in told
    print(f"resumed {shift.resumed_after(done_at):.2f} s after the migration")
