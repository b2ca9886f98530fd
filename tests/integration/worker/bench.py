"""A worker's inside without its queue: the real wiring, the real PostgreSQL, deliveries made by hand."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING, Any, cast
from uuid import UUID

import structlog
from pydantic import SecretStr
from structlog.testing import LogCapture
from structlog.typing import FilteringBoundLogger

from noteflow.infrastructure.persistence.engine import create_engine, create_session_factory
from worker.application import create_executor
from worker.functions import EXECUTOR, for_our_worker, functions
from worker.settings import Settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping

    from jobs import Handler
    from noteflow.infrastructure.persistence.unit_of_work import SqlAlchemyUnitOfWork
    from worker.executor import Executor


@dataclass(frozen=True)
class Bench:
    """Executes jobs as a claim would, and keeps what was logged."""

    executor: Executor
    log: LogCapture
    functions: Mapping[str, Callable[..., Any]]
    numbers: Iterator[int] = field(default_factory=count)

    async def execute(self, function: str, **kwargs: Any) -> dict[str, Any]:
        """Deliver a new job once; its result. Raises as a job's function does in a worker."""
        ctx = {
            EXECUTOR: self.executor,
            "job_id": f"{function}-{next(self.numbers)}",
            "job_try": 1,
            "enqueue_time": datetime.now(UTC),
            "queue_name": "arq:queue",
            "worker_id": "bench",
        }
        result: dict[str, Any] = await self.functions[function](ctx, **kwargs)
        return result

    async def change(self, meeting: UUID, state: str) -> str:
        """Ask for a state without a number; the name of the outcome."""
        return await self._outcome("change_meeting_state", meeting_id=str(meeting), state=state)

    async def ingest(self, meeting: UUID, segments: int, first: int = 0) -> str:
        """Ingest so many new segments; the name of the outcome."""
        batch = [
            {"segment_id": number, "text": f"sentence {number}", "start_time": float(number), "end_time": number + 1.0}
            for number in range(first, first + segments)
        ]
        return await self._outcome("ingest_segments", meeting_id=str(meeting), segments=batch)

    async def _outcome(self, function: str, **kwargs: Any) -> str:
        outcome: str = (await self.execute(function, **kwargs))["outcome"]
        return outcome

    def with_handler(self, function: str, handler: Handler) -> Bench:
        """The same, but for one handler."""
        return replace(self, executor=replace(self.executor, handlers={**self.executor.handlers, function: handler}))

    def locking(self) -> Bench:
        """The same, but every attempt takes the lock of the meeting that it reads."""
        opened: Callable[..., SqlAlchemyUnitOfWork] = self.executor.unit_of_work
        return replace(self, executor=replace(self.executor, unit_of_work=lambda *given: opened(*given[:-1], True)))

    def attempts(self) -> list[int]:
        """How many attempts each job that ended took."""
        return [line["attempt"] for line in self.log.entries if line["event"].startswith("job.")]

    def conflicts(self) -> int:
        """How many attempts lost to another."""
        return sum(line["event"] == "attempt.conflict" for line in self.log.entries)


@asynccontextmanager
async def open_bench(database_url: str, *, pool_size: int) -> AsyncIterator[Bench]:
    """A bench on a database, wired as a worker process is."""
    settings = Settings(database_url=SecretStr(database_url), database_pool_size=pool_size)
    lines = LogCapture()
    log = cast("FilteringBoundLogger", structlog.wrap_logger(None, processors=[lines]))
    ours = functions(for_our_worker, job_timeout_s=settings.job_timeout_s, keep_result_s=0)
    registered = {each.name: each.coroutine for each in ours}
    # As a worker's own, which never asks a connection whether it lives before it is used.
    engine = create_engine(database_url, pool_size=settings.pool_size, pool_pre_ping=False)
    executor = create_executor(settings, create_session_factory(engine))
    try:
        yield Bench(replace(executor, log=log), lines, registered)
    finally:
        await engine.dispose()
