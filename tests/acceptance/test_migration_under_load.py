"""A migration runs while jobs flow: it holds its locks for long, and it changes what prepared statements return."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import asyncpg
import pytest

from noteflow.domain.value_objects import MeetingState
from tests.acceptance.judge import Judge
from tests.acceptance.shift import IMPATIENT, begin_shift
from tests.acceptance.workload import Workload
from tests.databases import driver_url
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.acceptance.conftest import StartWorkers
    from tests.conftest import OwnPostgres


@pytest.mark.slow
async def test_jobs_outwait_its_locks_however_many_claims_that_takes(
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
    assert "canceling statement due to lock timeout" in server.log.read_text()
    print(f"resumed {shift.resumed_after(done_at):.2f} s after the migration")


async def test_what_a_worker_had_prepared_is_prepared_anew(
    own_postgres: OwnPostgres, redis_url: str, start_workers: StartWorkers
) -> None:
    server = own_postgres()
    works: list[Workload] = []

    async def has_met_an_old_plan() -> bool:
        # Whether a job meets the connection that has prepared its statement is up to the pool.
        for table in ("segments", "meetings"):
            await Judge(server.url("noteflow")).ask(f"ALTER TABLE {table} ADD COLUMN more_{len(works)} real")
        await work_on_a_meeting()
        return "cached plan must not change result type" in server.log.read_text()

    async def work_on_a_meeting() -> None:
        works.append(work := Workload(server.url("noteflow"), redis_url))
        await work.create_meeting()
        await work.enqueue_state(MeetingState.RECORDING)
        await work.enqueue_segments(5)
        await eventually(work.is_done, within_s=30)

    (worker,) = await start_workers(server.url("noteflow"), redis_url, settings={"MAX_JOBS": "1"})
    await work_on_a_meeting()
    await eventually(has_met_an_old_plan, within_s=30)

    for each in works:
        await each.judge()
    await eventually(lambda: len(worker.lines("job.completed")) == 6 * len(works))
    assert not worker.lines("job.dead")
