"""The workers a hurried person would write, to see whether the judge notices.

The engine underneath is the product's, so what goes wrong is the handlers' doing: they know no ledger and no order,
commit row by row, and catch nothing.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from arq.connections import RedisSettings
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.queue.codec import job_deserializer, job_serializer
from tests.chaos.worker import Watch
from worker.engine.options import Options
from worker.engine.worker import Worker

LOOSEN = "ALTER TABLE segments DROP CONSTRAINT segments_pkey"
"""The table a hurried person would have made: nothing in it stops a second copy."""

ADD = text(
    "INSERT INTO segments (meeting_id, segment_id, revision, start_time, end_time, text)"
    " VALUES (CAST(:meeting_id AS uuid), :segment_id, 0, :start_time, :end_time, :text)"
)
MOVE = text(
    "UPDATE meetings SET state = :state, sequence = :sequence, version = version + 1"
    " WHERE id = CAST(:meeting_id AS uuid)"
)
Context = dict[str, Any]


async def ingest_segments(ctx: Context, *, meeting_id: str, segments: list[dict[str, Any]]) -> None:
    """Store them one after another."""
    watch: Watch = ctx["watch"]
    watch.begin(ctx["job_id"])
    for segment in segments:
        async with _engine(ctx).begin() as connection:
            await connection.execute(ADD, {"meeting_id": meeting_id, **segment})
            watch.note("committing")
    watch.note("committed")
    watch.note("ended")


async def change_meeting_state(ctx: Context, *, meeting_id: str, state: str, sequence: int) -> None:
    """Do as told."""
    watch: Watch = ctx["watch"]
    watch.begin(ctx["job_id"])
    async with _engine(ctx).begin() as connection:
        await connection.execute(MOVE, {"meeting_id": meeting_id, "state": state, "sequence": sequence})
        watch.note("committing")
    watch.note("committed")
    watch.note("ended")


def _engine(ctx: Context) -> AsyncEngine:
    engine: AsyncEngine = ctx["engine"]
    return engine


def main() -> None:
    watch = Watch(Path(os.environ["CHAOS_FOLDER"]))
    watch.note("born")
    engine = create_engine(os.environ["DATABASE_URL"], application_name="noteflow-worker, naive")
    Worker(
        [ingest_segments, change_meeting_state],
        options=Options(lease_s=float(os.environ["LEASE_S"]), log_arguments=False),
        redis_settings=RedisSettings.from_dsn(os.environ["REDIS_URL"]),
        job_serializer=job_serializer,
        job_deserializer=job_deserializer,
        job_timeout=10,
        job_completion_wait=10,
        ctx={"engine": engine, "watch": watch},
    ).run()


if __name__ == "__main__":
    main()
