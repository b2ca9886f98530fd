"""The identity of the database, and of the server that runs it, by which a loss of commits shows.

The counter shows that a database went back: a copy of it is kept elsewhere. The rest shows that it may have: a crash
that lost less than the last count leaves the counter alone, but not the run.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

COUNT_EVERY_S = 2
"""One row is written so often by all workers together, and not by each."""


@dataclass(frozen=True, slots=True)
class DatabaseMark:
    """The database `database_id`, as counted last at `counted_at`, on `server`.

    `server` is another after each restart, crash, promotion and restored backup. It names the system identifier and
    the timeline. Ledger rows that were committed before `pruned_before` may have been pruned.
    """

    database_id: UUID
    counter: int
    counted_at: datetime
    pruned_before: datetime | None
    server: str


async def read_mark(connection: AsyncConnection) -> DatabaseMark | None:
    """Read the mark, and give a server that has none a run id; None from a server that takes no writes."""
    if await connection.scalar(text("SELECT current_setting('transaction_read_only') = 'on'")):
        return None  # of a standby it cannot be read at all
    await connection.execute(text(_BEGIN_RUN))
    row = (await connection.execute(text(_MARK))).one()
    started_us = round(row.started_at.timestamp() * 1_000_000)
    server = f"{row.system}/{row.timeline}/{row.run_id}/{started_us}"
    return DatabaseMark(row.database_id, row.counter, row.counted_at, row.pruned_before, server)


async def count(connection: AsyncConnection) -> int | None:
    """Count on, and return the new number; None if this was done lately. It holds once the caller has committed."""
    counted: int | None = await connection.scalar(text(_COUNT), {"every_s": COUNT_EVERY_S})
    return counted


_BEGIN_RUN = """
    WITH marked AS (INSERT INTO database_mark DEFAULT VALUES ON CONFLICT DO NOTHING)
    INSERT INTO database_run DEFAULT VALUES ON CONFLICT DO NOTHING
"""
_MARK = """
    SELECT database_id, counter, counted_at, pruned_before, run_id, system, timeline, started_at
    FROM database_mark, database_run, server_identity()
"""
# The second condition is for a clock that was set back.
_COUNT = """
    UPDATE database_mark SET counter = counter + 1, counted_at = clock_timestamp()
    WHERE counted_at < clock_timestamp() - make_interval(secs => :every_s) OR counted_at > clock_timestamp()
    RETURNING counter
"""
