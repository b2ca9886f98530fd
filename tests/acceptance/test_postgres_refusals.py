"""PostgreSQL is there and refuses: its disk is full, or it has too many clients. Jobs wait, and are not charged."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

import asyncpg
import pytest

from tests.acceptance.judge import Judge
from tests.acceptance.mishaps import WORKERS
from tests.acceptance.shift import IMPATIENT, begin_shift
from tests.conftest import SETTINGS
from tests.databases import driver_url
from tests.small_disk import SmallDiskPostgres, can_mount
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.acceptance.conftest import StartWorkers
    from tests.conftest import OwnPostgres
    from worker.embedded import EmbeddedPostgres

JOBS = 300


@pytest.fixture
def small_disk(seeded_postgres: EmbeddedPostgres) -> Iterator[SmallDiskPostgres]:
    """A PostgreSQL with a small disk."""
    if not can_mount():
        pytest.skip("a full disk needs user namespaces, which this machine does not allow")
    with SmallDiskPostgres(seeded_postgres, settings=SETTINGS) as server:
        yield server


@pytest.mark.slow
async def test_a_full_disk_makes_jobs_wait_until_there_is_room(
    small_disk: SmallDiskPostgres, redis_url: str, start_workers: StartWorkers
) -> None:
    await small_disk.settle()
    judge = Judge(small_disk.url("noteflow"))
    shift = await begin_shift(judge, redis_url, start_workers, jobs=JOBS, settings=IMPATIENT)
    await asyncio.to_thread(small_disk.fill)
    await eventually(lambda: shift.told("job.handed_back") == shift.workers, within_s=30)
    assert "No space left on device" in small_disk.log.read_text()
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
