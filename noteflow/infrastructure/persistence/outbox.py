"""Jobs asked for inside somebody's transaction: there if it commits, never were if it does not.

A relay in the workers carries the rows to Redis. A row lives until the effect of its job is committed, in that very
transaction, or until the job is dead: so the queue can be rebuilt when Redis has lost it.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from sqlalchemy import Executable
from sqlalchemy.dialects.postgresql import insert

from noteflow.domain.checks import check_text
from noteflow.domain.commands import ChangeMeetingState, Command
from noteflow.infrastructure.persistence.job_tables import outbox
from noteflow.infrastructure.persistence.transaction import Transaction
from noteflow.infrastructure.queue.cutting import jobs_of, payload_of
from noteflow.infrastructure.queue.keys import DEFAULT_QUEUE


class Executes(Protocol):
    """A SQLAlchemy AsyncSession, or AsyncConnection, with the caller's transaction on it."""

    async def execute(self, statement: Executable, /) -> Any:
        """Run a statement."""


class OutboxRepository:
    """The jobs that a unit of work asks for: enqueued if it commits."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    async def enqueue(
        self, command: Command, *, queue_name: str = DEFAULT_QUEUE, job_id: str | None = None
    ) -> list[str]:
        """Ask for a command to be carried out, and return the ids of its jobs. Asking twice is asking once."""
        statement, job_ids = _asking(command, queue_name, job_id)
        await self._transaction.run(statement)
        return job_ids


async def enqueue_in(
    transaction: Executes, command: Command, *, queue_name: str = DEFAULT_QUEUE, job_id: str | None = None
) -> list[str]:
    """Ask for a command in the transaction of a plain AsyncSession or AsyncConnection; the caller commits it."""
    statement, job_ids = _asking(command, queue_name, job_id)
    await transaction.execute(statement)
    return job_ids


def _asking(command: Command, queue_name: str, job_id: str | None) -> tuple[Executable, list[str]]:
    if job_id is not None:
        check_text("job_id", job_id)
    # The moment is part of the payload from here on, so that it is the same job however often it is dispatched.
    now_ms = time.time_ns() // 1_000_000
    jobs = jobs_of(command, job_id)
    rows = [
        {
            "job_id": job.job_id,
            "queue": queue_name,
            "kind": command.function,
            "meeting_id": command.meeting_id,
            "sequence": command.sequence if isinstance(command, ChangeMeetingState) else None,
            "body": payload_of(job, now_ms),
        }
        for job in jobs
    ]
    statement = insert(outbox).on_conflict_do_nothing(index_elements=[outbox.c.job_id])
    # A row at a time, or a list: the statement's text must not grow with the number of jobs.
    return statement.values(rows[0]) if len(rows) == 1 else statement.values(rows), [job.job_id for job in jobs]
