"""What goes wrong in the nights of the drill."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

import asyncpg
from arq import create_pool
from arq.connections import RedisSettings

from noteflow.domain.commands import IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.queue.codec import job_deserializer, job_serializer
from tests.acceptance.judge import Judge
from tests.acceptance.manager import PATIENCE_S
from tests.databases import driver_url
from tests.waiting import eventually_sync

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.acceptance.night import Night
    from tests.integration.inspection.ground import Ground
    from worker.embedded import EmbeddedPostgres


def meeting_of(night: Night) -> str:
    """A meeting, stored."""
    return str(asyncio.run(Judge(night.jobs.database_url).new_meeting()))


async def ingest(ground: Ground, night: Night, number: int) -> list[str]:
    """Enqueue so many batches."""
    ground.meeting = MeetingId(UUID(night.meeting))
    return await ground.enqueue_many(number)


async def ask_for(ground: Ground, night: Night, number: int) -> list[str]:
    """Ask for so many batches through the outbox."""
    ground.meeting = MeetingId(UUID(night.meeting))
    return [await ground.ask_for(ground.ingestion(each)) for each in range(number)]


async def tomorrow(ground: Ground, night: Night, number: int) -> None:
    """Enqueue so many batches that are not due yet."""
    ground.meeting = MeetingId(UUID(night.meeting))
    for each in range(number):
        await ground.enqueue(ground.ingestion(1_000 + each), defer_by=86_400)


async def poison(ground: Ground, night: Night) -> str:
    """A meeting whose second batch contradicts its first, so that it never completes; and a move to nowhere."""
    ground.meeting = meeting = MeetingId(UUID(night.meeting))
    await ground.enqueue(ground.ingestion(0, batch=1))
    await asyncio.to_thread(lambda: eventually_sync(lambda: night.stats()["rates"]["per_s"] > 0, within_s=PATIENCE_S))
    other = Segment(meeting, 0, "Other words", 0.0, 1.0)
    poisoned = await ground.enqueue(IngestSegments(meeting, (other,), batch=2))
    for sequence, state in enumerate((MeetingState.RECORDING, MeetingState.STOPPING), start=1):
        await ground.enqueue(ground.change(sequence, state))
    stopped = ground.change(3, MeetingState.STOPPED)
    await ground.enqueue(type(stopped)(meeting, MeetingState.STOPPED, 3, expected_batches=2))
    await ground.enqueue(ground.change(4, MeetingState.COMPLETED))
    # The page lists the newest first: this one has to be dead before the other is there.
    await asyncio.to_thread(lambda: eventually_sync(lambda: _dead(night) == 1, within_s=PATIENCE_S))
    await asyncio.to_thread(enqueue_by_hand, night, "change_meeting_state", meeting_id=str(uuid4()), state="SLEEPING")
    return poisoned


def _dead(night: Night) -> int:
    return sum(queue["dead"] for queue in night.stats()["queues"])


def editor_that_raises_the_revision(folder: Path) -> Path:
    """What a person would do in an editor: say that the words are the newer ones."""
    program = folder / "editor.py"
    program.write_text(
        "import json, sys\n"
        "message = json.load(open(sys.argv[1]))\n"
        "message['k']['segments'][0]['revision'] = 1\n"
        "json.dump(message, open(sys.argv[1], 'w'))\n"
    )
    return program


def enqueue_by_hand(night: Night, function: str, **fields: Any) -> str:
    """What a producer of another version, or none of ours, enqueues."""

    async def enqueue() -> str:
        pool = await create_pool(
            RedisSettings.from_dsn(night.jobs.redis_url),
            job_serializer=job_serializer,
            job_deserializer=job_deserializer,
        )
        job = await pool.enqueue_job(function, _job_id=f"{function}:{night.meeting}:{uuid4().hex}", **fields)
        await pool.aclose(close_connection_pool=True)
        assert job is not None
        return job.job_id

    return asyncio.run(enqueue())


@contextmanager
def forgotten_lock(night: Night, table: str) -> Iterator[None]:
    """What a person does in psql who is called away in the middle of a transaction."""
    with asyncio.Runner() as runner:
        session = runner.run(
            asyncpg.connect(driver_url(night.jobs.database_url), server_settings={"application_name": "psql"})
        )
        runner.run(session.execute(f"BEGIN; LOCK TABLE {table}"))
        try:
            yield
        finally:
            session.terminate()


def type_into_psql(night: Night, statement: str) -> None:
    """Another session runs it."""

    async def typed() -> None:
        session = await asyncpg.connect(driver_url(night.jobs.database_url))
        await session.execute(statement)
        await session.close()

    asyncio.run(typed())


def make_read_only(night: Night, postgres: EmbeddedPostgres, value: str) -> None:
    """What workers find after a failover: their sessions are cut, and the server they reach takes no writes."""

    async def turn() -> None:
        name = night.jobs.database_url.partition("?")[0].rpartition("/")[2]
        admin = await asyncpg.connect(driver_url(postgres.url()))
        await admin.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = {value}")
        await admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name)
        await admin.close()

    asyncio.run(turn())
