"""PostgreSQL: does it answer, is its schema ours, can it be written to?"""

from __future__ import annotations

import time
from typing import Final

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from noteflow.domain.errors import ConcurrencyConflict, Unavailable
from noteflow.infrastructure.persistence.faults import NO_ROOM, sqlstate_of, translated
from noteflow.infrastructure.persistence.pooler import pooler_doubt
from worker.inspection.checks.cures import PAST_THE_POOLER, START_POSTGRESQL, postgresql_cure
from worker.inspection.checks.database import check_database, with_words
from worker.inspection.checks.finding import Finding, Verdict, error, ok, warning
from worker.inspection.sources import Sources
from worker.storage_room import take_room

OLDEST: Final = 140_000
SLOW_MS: Final = 20.0


async def check_postgresql(sources: Sources, pool_size: int) -> list[Finding]:
    """Its sessions, version, encoding, migrations, privileges, latency, a write, and room for connections."""
    sessions = await _sessions(sources)
    if sessions is not None and sessions.verdict is Verdict.ERROR:
        return [sessions]  # what is asked over such sessions may be answered, or not
    row = await sources.first(_SERVER)
    if row is None:
        found = with_words(sources.postgresql_problem or "no answer", sources.postgresql_failure)
        return [error("postgresql", found, _cure(sources))]
    told = f"PostgreSQL {row.version}"
    return [
        *([sessions] if sessions else []),
        ok("postgresql version", told) if row.number >= OLDEST else error("postgresql version", told, "14 or newer"),
        *await check_database(sources, pool_size),
        await _latency(sources),
        await _write(sources),
        _connections(row.used, row.most),
    ]


def _cure(sources: Sources) -> str:
    return postgresql_cure(sources.postgresql_failure) if sources.postgresql_failure else START_POSTGRESQL


async def _sessions(sources: Sources) -> Finding | None:
    """Whether they are our own; None where that cannot be known."""
    if sources.postgresql_failure is not None and sqlstate_of(sources.postgresql_failure) is None:
        return None  # it did not answer a moment ago, and may hang
    try:
        doubt = await pooler_doubt(sources.engine)
    except Exception:  # the next question meets it again, and says what it is
        return None
    subject = "postgresql sessions"
    return error(subject, doubt, PAST_THE_POOLER) if doubt else ok(subject, "each connection has its own")


async def _latency(sources: Sources) -> Finding:
    times = []
    for _ in range(10):
        start = time.perf_counter()
        if await sources.rows("SELECT 1") is None:
            found = with_words(sources.postgresql_problem or "it stopped answering", sources.postgresql_failure)
            return error("postgresql latency", found)
        times.append((time.perf_counter() - start) * 1000)
    times.sort()
    told = f"median {times[len(times) // 2]:.1f} ms, slowest of 10 {times[-1]:.1f} ms"
    return (warning if times[len(times) // 2] > SLOW_MS else ok)("postgresql latency", told)


async def _write(sources: Sources) -> Finding:
    """A row that is rolled back, then a file that goes away again: a full disk may have room for the row."""
    try:
        with translated():
            async with sources.engine.connect() as connection:
                read_only = await connection.scalar(text("SELECT current_setting('transaction_read_only')"))
                if read_only == "on":
                    return error("postgresql write", "it is read-only", "point DATABASE_URL at the primary")
                await connection.execute(text(_INSERT))
                await connection.rollback()
                await take_room(connection)
    except ConcurrencyConflict as conflict:
        return error("postgresql write", str(conflict), "see postgresql locks")
    except (Unavailable, SQLAlchemyError) as failure:
        if sqlstate_of(failure) in NO_ROOM:
            return error("postgresql write", str(failure), postgresql_cure(failure))
        told = str(failure) if isinstance(failure, Unavailable) else type(failure).__name__
        return error(
            "postgresql write", with_words(told, failure), "see that the migrations were run and the user may write"
        )
    return ok("postgresql write", "a row was written and rolled back")


def _connections(used: int, most: int) -> Finding:
    told = f"{used} of {most} connections in use"
    return (warning if used > 0.8 * most else ok)("postgresql connections", told)


_SERVER = """
    SELECT current_setting('server_version') AS version, CAST(current_setting('server_version_num') AS int) AS number,
           CAST(current_setting('max_connections') AS int) AS most,
           (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used
"""

_INSERT = """
    INSERT INTO operator_acts (id, act, actor, target, acted_at)
    VALUES (gen_random_uuid(), 'check', 'check', 'check', clock_timestamp())
"""
