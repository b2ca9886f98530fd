"""A worker's executor on a real PostgreSQL, to which jobs are delivered by hand, as often and in whatever order."""

from __future__ import annotations

import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import structlog
from pydantic import SecretStr
from structlog.testing import LogCapture

from noteflow.domain.commands import ChangeMeetingState, IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
from noteflow.infrastructure.queue.codec import deserialize
from noteflow.infrastructure.queue.cutting import jobs_of, payload_of
from tests.acceptance.judge import Judge
from worker.application import create_executor
from worker.delivery import Delivery
from worker.endings import Completed, Dead, Parked
from worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    import asyncpg
    from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker
    from structlog.typing import FilteringBoundLogger

    from noteflow.domain.commands import Command
    from worker.endings import Ending
    from worker.executor import Executor


@dataclass(frozen=True)
class Stage:
    """Delivers jobs, and asks PostgreSQL what became of them."""

    executor: Executor
    engine: AsyncEngine
    session_factory: async_sessionmaker[AsyncSession]
    judge: Judge
    log: LogCapture
    moments: Iterator[int] = field(default_factory=lambda: count(time.time_ns() // 1_000_000))

    async def deliver(
        self, command: Command, job_id: str | None = None, *, at_ms: int | None = None, number: int = 1
    ) -> str:
        """Deliver a command's job, enqueued at another moment each time unless told; a word for its ending."""
        job = jobs_of(command, job_id)[0]
        body = payload_of(job, next(self.moments) if at_ms is None else at_ms)
        return said(await self.deliver_body(job.job_id, body, number=number))

    async def deliver_body(self, job_id: str, body: bytes, *, number: int = 1) -> Ending:
        """Deliver a payload as a claim would."""
        message = deserialize(body)

        async def kept() -> bytes:
            return body

        enqueued_at = datetime.fromtimestamp(message["et"] / 1000, UTC)
        return await self.executor.execute(
            Delivery(
                job_id,
                message["f"],
                message["a"],
                message["k"],
                number=number,
                enqueued_at=enqueued_at,
                queue="arq:queue",
                worker="stage",
                body=kept,
            )
        )

    async def deliver_woken(self) -> int:
        """Deliver what was woken, in its order, as the relay and a worker would; say how many there were."""
        woken = await self.judge.ask(
            "UPDATE outbox SET state = 'dispatched' WHERE state = 'waiting' RETURNING job_id, body, position"
        )
        for row in sorted(woken, key=lambda row: row["position"]):
            await self.deliver_body(row["job_id"], row["body"])
        return len(woken)

    async def ledger(self) -> dict[str, str]:
        """The outcome of every finished job."""
        return {row["job_id"]: row["outcome"] for row in await self.judge.ask("SELECT job_id, outcome FROM job_ledger")}

    async def outbox(self) -> dict[str, str]:
        """The state of every job in the outbox."""
        return {row["job_id"]: row["state"] for row in await self.judge.ask("SELECT job_id, state FROM outbox")}

    async def history(self, meeting: UUID) -> list[tuple[str, str, int, int]]:
        """From, to, sequence and version of every move, in order."""
        rows = await self.judge.ask("SELECT * FROM meeting_history WHERE meeting_id = $1 ORDER BY version", meeting)
        return [(row["from_state"], row["to_state"], row["sequence"], row["version"]) for row in rows]

    async def letters(self) -> list[asyncpg.Record]:
        """Every dead letter in PostgreSQL, the oldest first."""
        return list(await self.judge.ask("SELECT * FROM dead_letters ORDER BY id"))

    def unit(self) -> SqlAlchemyUnitOfWork:
        """A producer's unit of work."""
        return SqlAlchemyUnitOfWork(self.session_factory, ".")

    def with_unit(self, wrap: Any) -> Stage:
        """The same, but each unit of work is passed through `wrap`."""
        opened = self.executor.unit_of_work
        return replace(
            self, executor=replace(self.executor, unit_of_work=lambda job, locking: wrap(opened(job, locking)))
        )

    def patient_for(self, seconds: float) -> Stage:
        """The same, but parked jobs wait only so long."""
        return replace(self, executor=replace(self.executor, parker=replace(self.executor.parker, patience_s=seconds)))


@asynccontextmanager
async def open_stage(database_url: str, *, pool_size: int = 10) -> AsyncIterator[Stage]:
    """A stage on a database, wired as a worker process is."""
    settings = Settings(database_url=SecretStr(database_url))
    lines = LogCapture()
    log = cast("FilteringBoundLogger", structlog.wrap_logger(None, processors=[lines]))
    engine = create_engine(database_url, pool_size=pool_size, pool_pre_ping=False)
    factory = create_session_factory(engine)
    executor = replace(create_executor(settings, factory), log=log)
    try:
        yield Stage(executor, engine, factory, Judge(database_url), lines)
    finally:
        await engine.dispose()


def said(ending: Ending) -> str:
    """A word for an ending: its outcome, or its reason."""
    match ending:
        case Completed(outcome):
            return outcome.name
        case Parked(missing):
            return f"parked: {missing}"
        case Dead(reason):
            return reason
        case handed_back:
            return f"handed back: {handed_back.reason}"


def move(meeting: UUID, state: str, sequence: int | None = None, **more: Any) -> ChangeMeetingState:
    """A change of state."""
    return ChangeMeetingState(MeetingId(meeting), MeetingState(state), sequence, **more)


def batch(
    meeting: UUID, first: int, segments: int = 1, *, revision: int = 0, text: str = "said", **numbers: int
) -> IngestSegments:
    """So many segments, perhaps numbered."""
    given = tuple(
        Segment(MeetingId(meeting), number, f"{text} {number}", float(number), number + 1.0, revision=revision)
        for number in range(first, first + segments)
    )
    return IngestSegments(MeetingId(meeting), given, **numbers)
