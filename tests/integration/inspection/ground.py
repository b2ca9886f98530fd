"""Set jobs up in whatever state a test wants them in, in real servers, without a worker."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import msgspec
from redis.asyncio import Redis
from sqlalchemy import text

from noteflow.domain.commands import ChangeMeetingState, Command, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.outbox import enqueue_in
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.codec import serialize
from noteflow.infrastructure.queue.wire import kwargs_of
from worker.engine.dead_letters import DeadLetters
from worker.engine.scripts import run_script
from worker.inspection.sources import Sources

SECRET = "Nobodymayreadthis"
WORKER = "host:1:abcd"


@dataclass
class Ground:
    """Both servers. `meeting` is an id that nothing is stored of until a test does."""

    redis_url: str
    sources: Sources
    meeting: MeetingId = field(default_factory=lambda: MeetingId(uuid4()))

    @property
    def redis(self) -> Any:
        """The client."""
        return self.sources.redis

    async def enqueue(self, command: Command | None = None, **when: Any) -> str:
        """Put one job into the queue; its id."""
        async with JobClient.from_url(self.redis_url) as client:
            return (await client.enqueue(command or self.ingestion(), **when)).job_id

    async def enqueue_many(self, number: int, first: int = 0) -> list[str]:
        """Put so many different jobs into the queue."""
        async with JobClient.from_url(self.redis_url) as client:
            answers = await client.enqueue_many([self.ingestion(each) for each in range(first, first + number)])
        return [answer.job_id for answer in answers]

    def ingestion(self, number: int = 0, *, batch: int | None = None) -> IngestSegments:
        """One segment."""
        return IngestSegments(self.meeting, (Segment(self.meeting, number, SECRET, 0.0, 1.0),), batch)

    def change(self, sequence: int | None = 1, state: MeetingState = MeetingState.RECORDING) -> ChangeMeetingState:
        """One state change."""
        return ChangeMeetingState(self.meeting, state, sequence)

    async def worker(self, worker_id: str = WORKER, *, age_s: float = 0.0, **fields: Any) -> None:
        """A worker's record, as its beat writes it, so many seconds old."""
        now = time.time() - age_s
        record = {
            "id": worker_id, "host": "host", "pid": 1, "version": "0.1.0", "started": now - 60, "seen": now,
            "queues": ["arq:queue"], "functions": ["change_meeting_state", "ingest_segments"], "max_jobs": 20,
            "running": [], "running_count": 0, "complete": 5, "failed": 1, "retried": 0, "last_progress": now,
            "last_error": None, "ready": True, "excuses": [], **fields,
        }  # fmt: skip
        await self.redis.set(f"arq:worker:{worker_id}", msgspec.json.encode(record))
        await self.redis.zadd("arq:workers", {worker_id: int(now * 1000)})

    async def claim(self, job_id: str, owner: str | None = None, *, lease_ms: int = 8_000, for_s: float = 0.0) -> None:
        """What a claim leaves in Redis, `for_s` seconds ago, if it is one of our worker's."""
        owner = owner or f"{WORKER}:{int((time.time() - for_s) * 1000)}"
        await self.redis.set(f"arq:in-progress:{job_id}", owner, px=lease_ms)
        await self.redis.set(f"arq:retry:{job_id}", 1)
        await self.redis.zadd("arq:queue", {job_id: int(time.time() * 1000) + lease_ms + 0.5})

    async def shelve(self) -> None:
        """Let a claim put due jobs of paused kinds on their shelves."""
        arguments = (f"{WORKER}:1", 8_000, 1, 1_000_000, 0, 0, 2, 5, 0, 10_000, 1_000_000, 0)
        await run_script(self.redis, "claim", ["arq:queue"], arguments)

    async def leave_queue(self, job_id: str) -> None:
        """What the end of a job leaves of it: nothing."""
        await self.redis.delete(f"arq:job:{job_id}")
        await self.redis.zrem("arq:queue", job_id)

    async def bury(self, job_id: str, reason: str, kind: str = "ingest_segments") -> None:
        """Make a dead letter of a waiting job, in Redis."""
        letters = DeadLetters(self.redis)
        await letters.bury_copy(job_id, queue="arq:queue", function=kind, reason=reason, worker=WORKER)
        await self.leave_queue(job_id)

    async def ask_for(self, command: Command) -> str:
        """Put a job into the outbox; its id."""
        async with self.sources.engine.begin() as connection:
            return (await enqueue_in(connection, command))[0]

    async def sql(self, statement: str, **parameters: Any) -> list[Any]:
        """Run a statement and commit it."""
        async with self.sources.engine.begin() as connection:
            result = await connection.execute(text(statement), parameters)
            return list(result.all()) if result.returns_rows else []

    async def store_meeting(self, state: str = "CREATED", sequence: int = 0) -> UUID:
        """Store the meeting."""
        await self.sql(
            "INSERT INTO meetings (id, title, state, version, sequence, created_at, started_at)"
            " VALUES (:id, 'Title', :state, 1, :sequence, now(), now())",
            id=self.meeting, state=state, sequence=sequence,
        )  # fmt: skip
        return self.meeting

    async def store_ending(
        self, job_id: str, outcome: str = "applied", kind: str = "ingest_segments", errors: list[Any] | None = None
    ) -> None:
        """Write the ledger's row."""
        await self.sql(
            "INSERT INTO job_ledger (job_id, kind, meeting_id, digest, outcome, detail, attempts, worker, enqueued_at,"
            " errors) VALUES (:job, :kind, :meeting, 'd', :outcome, CAST('{}' AS jsonb), 2, :worker,"
            " now() - interval '2 s', CAST(:errors AS jsonb))",
            job=job_id, kind=kind, meeting=self.meeting, outcome=outcome, worker=WORKER,
            errors=None if errors is None else msgspec.json.encode(errors).decode(),
        )  # fmt: skip

    async def store_letter(self, job_id: str, reason: str = "refused: wrong", state: str = "dead") -> int:
        """Write a dead letter into PostgreSQL; its number."""
        (row,) = await self.sql(
            "INSERT INTO dead_letters (job_id, queue, kind, meeting_id, body, reason, errors, tries, crashes, worker,"
            " enqueued_at, died_at, state) VALUES (:job, 'arq:queue', 'ingest_segments', :meeting, :body, :reason,"
            " CAST('[]' AS jsonb), 1, 0, :worker, now(), now(), :state) RETURNING id",
            job=job_id, meeting=self.meeting, reason=reason, state=state, worker=WORKER,
            body=await self.redis.get(f"arq:job:{job_id}") or serialize(self.payload()),
        )  # fmt: skip
        return int(row.id)

    def payload(self, **other: Any) -> dict[str, Any]:
        """What a producer would write for one segment, but for the fields that are given."""
        return {"t": None, "f": "ingest_segments", "a": [], "k": kwargs_of(self.ingestion()), "et": 1, **other}

    async def take_postgresql_away(self) -> None:
        """Nobody listens there any more."""
        await self.sources.engine.dispose()
        self.sources.engine = create_engine("postgresql://nobody@127.0.0.1:1/nothing", connect_timeout_s=1.0)

    async def take_redis_away(self) -> None:
        """Nobody listens there any more."""
        await self.redis.aclose()
        self.sources.redis = Redis(host="127.0.0.1", port=1)

    async def close(self) -> None:
        """Give back what was opened meanwhile."""
        await self.sources.redis.aclose()
        await self.sources.engine.dispose()
