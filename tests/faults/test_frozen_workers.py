"""A worker that freezes in the middle of a statement, so that PostgreSQL does not count its session as idle."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import asyncpg
import pytest

from noteflow.infrastructure.persistence.engine import create_engine
from tests.chaos.scene import PATIENCE_S
from tests.databases import driver_url
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.frozen_sessions import end_frozen

if TYPE_CHECKING:
    from tests.chaos.scene import Scene


async def test_the_locks_of_a_worker_that_freezes_within_a_statement_are_released_while_it_is_frozen(
    scene: Scene,
) -> None:
    first, early = scene.move(), scene.move()
    async with Proxy(scene.database_url) as proxy:
        with scene.workers(1, database_url=proxy.url) as frozen:
            (job,) = await scene.enqueue(early)
            # PostgreSQL has been told the statement that parks the job, and waits for its values.
            rule = proxy.on(job.encode(), "hang", when="before")
            await eventually(rule.happened.is_set, within_s=PATIENCE_S)
            scene.signal(frozen[0], signal.SIGSTOP)

            with scene.workers(1):
                await scene.enqueue(first)
                await scene.peace()

    verdict = await scene.verdict()
    assert verdict.is_clean, verdict.crimes


@pytest.mark.parametrize(
    ("name", "after_s", "ended"),
    [("noteflow-worker here 1", 0.0, True), ("noteflow-worker here 1", 60.0, False), ("somebody else", 0.0, False)],
)
async def test_only_a_workers_session_is_ended_and_only_when_its_time_is_over(
    database_url: str, name: str, after_s: float, ended: bool
) -> None:
    engine = create_engine(database_url, application_name="noteflow-worker that looks")
    session = await asyncpg.connect(driver_url(database_url), server_settings={"application_name": name})
    try:
        await session.execute("BEGIN")
        await session.prepare("SELECT $1::int")  # named, and no value given: as when a worker freezes here
        assert await end_frozen(engine, after_s) == ([name] if ended else [])
        await eventually(lambda: session.is_closed() is ended)
    finally:
        session.terminate()
        await engine.dispose()


async def test_a_session_between_two_statements_is_not_taken_for_a_frozen_one(database_url: str) -> None:
    engine = create_engine(database_url, application_name="noteflow-worker that looks")
    session = await asyncpg.connect(driver_url(database_url), server_settings={"application_name": "noteflow-worker 1"})
    try:
        await session.execute("BEGIN")
        await session.fetch("SELECT 1")
        assert await end_frozen(engine, 0.0) == []
        assert await session.fetchval("SELECT 1") == 1
    finally:
        session.terminate()
        await engine.dispose()
