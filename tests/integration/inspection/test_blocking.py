"""A forgotten transaction that blocks others is named, by whichever command is typed first."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

from noteflow.infrastructure.persistence.engine import create_engine
from tests.databases import driver_url
from tests.integration.inspection.ground import Ground
from tests.waiting import eventually
from worker.cli.jobs.stats import page
from worker.cli.terminal import console
from worker.inspection.blocking import Blocker, read_blockers
from worker.inspection.checks.blocking import check_blocking
from worker.inspection.checks.finding import Finding, Verdict
from worker.inspection.checks.postgres import check_postgresql
from worker.inspection.stats import Stats, read_stats

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@asynccontextmanager
async def a_locked_table(database_url: str, table: str, waiting: int = 0) -> AsyncIterator[int]:
    """A person's session that forgot its lock; its pid. So many others wait for the table."""
    url = driver_url(database_url)
    forgotten = await asyncpg.connect(url, server_settings={"application_name": "psql"})
    others = [await asyncpg.connect(url) for _ in range(waiting)]
    await forgotten.execute(f"BEGIN; LOCK TABLE {table}")
    tasks = [asyncio.create_task(other.execute(f"SELECT FROM {table}")) for other in others]  # ours
    try:
        yield forgotten.get_server_pid()
    finally:
        await forgotten.close()
        await asyncio.gather(*tasks)
        for other in others:
            await other.close()


async def blockers(ground: Ground, number: int) -> Blocker:
    async def told() -> bool:
        found = await read_blockers(ground.sources, after_s=0.0)
        return [each.blocked for each in found] == [number]

    await eventually(told, within_s=10)
    (found,) = await read_blockers(ground.sources, after_s=0.0)
    return found


async def test_the_session_that_blocks_others_is_named_with_what_ends_it(ground: Ground, database_url: str) -> None:
    async with a_locked_table(database_url, "segments", waiting=3) as pid:
        found = await blockers(ground, 3)
        assert (found.pid, found.application, found.state) == (pid, "psql", "idle in transaction")
        assert f"session {pid} (psql of " in found.sentence
        assert "idle in transaction for" in found.sentence
        assert found.sentence.endswith("blocks 3 sessions")
        assert found.remedy.endswith(f"SELECT pg_terminate_backend({pid})")
        assert await read_blockers(ground.sources, after_s=3_600) == []
        await ground.sql(found.remedy.partition("psql: ")[2])
        await eventually(lambda: nobody(ground), within_s=10)


async def nobody(ground: Ground) -> bool:
    return not await read_blockers(ground.sources, after_s=0.0)


async def test_who_waits_in_line_behind_another_waits_for_the_one_at_its_head(
    ground: Ground, database_url: str
) -> None:
    async with a_locked_table(database_url, "meetings") as pid:
        first, second = [await asyncpg.connect(driver_url(database_url)) for _ in range(2)]
        lock = asyncio.create_task(first.execute("BEGIN; LOCK TABLE segments; LOCK TABLE meetings; COMMIT"))
        await blockers(ground, 1)
        read = asyncio.create_task(second.execute("SELECT FROM segments"))
        assert (await blockers(ground, 2)).pid == pid
    await asyncio.gather(lock, read)
    await first.close()
    await second.close()


async def test_check_and_stats_name_it_though_what_they_read_is_locked_too(ground: Ground, database_url: str) -> None:
    await ground.sources.engine.dispose()
    ground.sources.engine = create_engine(database_url, lock_timeout_s=0.2)
    async with a_locked_table(database_url, "operator_acts, job_ledger, outbox", waiting=1) as pid:
        (finding,) = await eventually(lambda: bad(ground), within_s=10, every_s=0.1)
        assert str(pid) in (finding.cure or "")
        stats = await read_stats(ground.sources)
        assert "another transaction was in the way" in (stats.postgresql or "")
        assert f"PostgreSQL: session {pid} (psql of" in shown(stats)
        assert "→ python -m worker check" in shown(stats)
        ground.sources.postgresql_problem = None
        found = {each.subject: each for each in await check_postgresql(ground.sources, pool_size=5)}
        assert found["postgresql write"].cure == "see postgresql locks"
    ground.sources.postgresql_problem = None
    assert not await bad(ground)
    assert "psql" not in shown(await read_stats(ground.sources))


async def bad(ground: Ground) -> list[Finding]:
    return [each for each in await check_blocking(ground.sources) if each.verdict is Verdict.ERROR]


def shown(stats: Stats) -> str:
    screen = console(200)
    with screen.capture() as written:
        screen.print(page(stats, 200))
    return written.get()
