"""A service creates meetings at an isolation level of its own, after their jobs were parked: real workers do them."""

from __future__ import annotations

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING
from uuid import uuid4

import asyncpg
import pytest

from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.judge import Judge
from tests.databases import driver_url
from tests.integration.worker.stage import batch
from tests.integration.worker.test_parking_races import CREATE
from tests.waiting import eventually

if TYPE_CHECKING:
    from tests.acceptance.conftest import StartWorkers

MEETINGS = 8


@pytest.mark.parametrize("default", ["read committed", "serializable"])
async def test_every_parked_job_is_done_whatever_the_level_of_the_service_and_of_the_server(
    default: str, database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    judge = Judge(database_url)
    name = (await judge.ask("SELECT current_database() AS name"))[0]["name"]
    await judge.ask(f"ALTER DATABASE {name} SET default_transaction_isolation = '{default}'")
    await start_workers(database_url, redis_url)
    for done, level in enumerate(("read_committed", "repeatable_read", "serializable", None), start=1):
        meetings = [uuid4() for _ in range(MEETINGS)]
        async with AsyncExitStack() as stack, JobClient.from_url(redis_url) as jobs:
            services = []
            for _ in meetings:
                services.append(service := await asyncpg.connect(driver_url(database_url)))
                stack.push_async_callback(service.close)
                await service.execute(f"BEGIN {f'ISOLATION LEVEL {level}' if level else ''}".replace("_", " "))
                await service.fetch("SELECT 1")
            await jobs.enqueue_many([batch(meeting, 0) for meeting in meetings])
            await eventually(lambda: judge.ask(f"SELECT FROM outbox HAVING count(*) = {MEETINGS}"), within_s=30)
            for service, meeting in zip(services, meetings, strict=True):
                await service.execute(CREATE, meeting)
                await service.execute("COMMIT")
        await eventually(lambda: judge.ask(f"SELECT FROM segments HAVING count(*) = {done * MEETINGS}"), within_s=30)  # noqa: B023
    assert await judge.ask("SELECT FROM outbox UNION ALL SELECT FROM wake_ups UNION ALL SELECT FROM dead_letters") == []
