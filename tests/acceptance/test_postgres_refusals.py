"""PostgreSQL is there and refuses: its disk is full, or it has too many clients. Jobs wait, and are not charged."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest
from redis.asyncio import Redis

from tests.acceptance.jobs_console import JobsConsole
from tests.acceptance.judge import Judge, dead_letters
from tests.acceptance.mishaps import WORKERS
from tests.acceptance.shift import IMPATIENT, begin_shift
from tests.acceptance.workload import Workload
from tests.databases import driver_url
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.acceptance.conftest import StartWorkers
    from tests.conftest import OwnPostgres
    from tests.small_disk import SmallDiskPostgres

JOBS = 300
TROUBLES = ("25P04", "26000", "42P05", "53400", "54000", "55000", "58030", "72000", "F0000", "HV000", "XX000", "XX001")
# Each attempt meets another one.
TROUBLE = f"""
CREATE SEQUENCE met;;
CREATE FUNCTION trouble() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    codes text[] := '{{{", ".join(TROUBLES)}}}';
BEGIN
    RAISE EXCEPTION 'trouble' USING ERRCODE = codes[1 + nextval('met') % {len(TROUBLES)}];
END
$$;;
CREATE TRIGGER trouble BEFORE INSERT ON segments FOR EACH STATEMENT EXECUTE FUNCTION trouble()
"""
NO_ROOM = "PostgreSQL has no room left on its disk (SQLSTATE 53100)"


@pytest.mark.slow
async def test_a_full_disk_makes_jobs_wait_until_there_is_room(
    small_disk: SmallDiskPostgres, redis_url: str, start_workers: StartWorkers
) -> None:
    await small_disk.settle()
    judge = Judge(small_disk.url("noteflow"))
    shift = await begin_shift(judge, redis_url, start_workers, jobs=JOBS, settings=IMPATIENT)
    await asyncio.to_thread(small_disk.fill)
    await eventually(lambda: shift.told("storage.down", "no room left on its disk") == shift.workers, within_s=30)
    assert "No space left on device" in small_disk.log.read_text()
    console = JobsConsole(small_disk.url("noteflow"), redis_url)
    assert await asyncio.to_thread(excuses, console) == [[f"waiting for postgresql: {NO_ROOM}"]] * 2
    written = await asyncio.to_thread(checked, console)
    assert (written["found"], written["cure"]) == (NO_ROOM, "make room on its disk")
    await eventually(lambda: nobody_runs_a_job(redis_url))
    small_disk.make_room()
    room_at = time.time()
    await shift.ended()

    await shift.verdict()
    print(f"resumed {shift.resumed_after(room_at):.2f} s after there was room")


@pytest.mark.slow
async def test_other_clients_take_every_connection_and_jobs_wait_until_there_are_some(
    own_postgres: OwnPostgres, redis_url: str, start_workers: StartWorkers
) -> None:
    server = own_postgres(settings={"max_connections": 30})
    judge = Judge(server.url("noteflow"))
    shift = await begin_shift(judge, redis_url, start_workers, jobs=JOBS, settings={"MAX_JOBS": "5"})
    others = await crowd_out(judge)
    await eventually(lambda: server.log.read_text().count("too many clients") > 20, within_s=30)
    await eventually(lambda: shift.told("storage.down") == shift.workers)
    for other in others:
        await other.close()
    free_at = time.time()
    await shift.ended()

    await shift.verdict()
    print(f"resumed {shift.resumed_after(free_at):.2f} s after there were connections")


async def test_troubles_of_the_server_and_the_session_cost_no_job(
    database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    judge, work = Judge(database_url), Workload(database_url, redis_url)
    (worker,) = await start_workers(database_url, redis_url)
    await work.create_meeting()
    for statement in TROUBLE.split(";;"):
        await judge.ask(statement)
    await work.enqueue_segments(10)
    await eventually(lambda: judge.ask(f"SELECT FROM met WHERE last_value > {3 * len(TROUBLES)}"), within_s=30)
    await judge.ask("DROP TRIGGER trouble ON segments")
    await eventually(work.is_done, within_s=60, every_s=0.1)

    await work.judge()
    assert not worker.lines("job.dead")
    assert not worker.lines("attempt.bug")
    async with Redis.from_url(redis_url) as redis:
        assert await dead_letters(judge, redis) == {}


def excuses(console: JobsConsole) -> list[list[str]]:
    """Why the workers are not ready, as `jobs workers` tells it."""
    return [worker["excuses"] for worker in console.json("workers")["workers"]]


def checked(console: JobsConsole) -> dict[str, str]:
    """What `check` found when it wrote to PostgreSQL."""
    told = json.loads(console.command("check", "--json").stdout)
    (found,) = (each for each in told if each["subject"] == "postgresql write")
    return dict(found)


async def nobody_runs_a_job(redis_url: str) -> bool:
    """Whether there are jobs, and nobody has claimed one."""
    async with Redis.from_url(redis_url) as redis:
        return bool(await redis.zcard("arq:queue")) and not await redis.keys("arq:in-progress:*")


async def crowd_out(judge: Judge) -> list[asyncpg.Connection]:
    """Hold every connection that there is, the workers' too."""
    first = await asyncpg.connect(driver_url(judge.database_url))
    held = [first]
    while True:
        ended = await first.fetch(f"SELECT pg_terminate_backend(pid) {WORKERS}")
        try:
            while True:
                held.append(await asyncpg.connect(driver_url(judge.database_url)))
        except asyncpg.TooManyConnectionsError:
            if not ended:
                return held
