"""Jobs asked for inside somebody's transaction: there if it commits, never were if it does not.

A relay in the workers carries the rows to Redis. A row lives until the effect of its job is committed, in that very
transaction, or until the job is dead: so the queue can be rebuilt when Redis has lost it.
"""

from __future__ import annotations

import time
from typing import Any, Protocol

from sqlalchemy import Connection, Executable, delete, select, text
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.orm import Session

from noteflow.domain.commands import ChangeMeetingState, Command
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.persistence.job_tables import outbox
from noteflow.infrastructure.persistence.transaction import Transaction
from noteflow.infrastructure.queue.asking import check_command, check_job_id, check_queue_name
from noteflow.infrastructure.queue.cutting import jobs_of, payload_of
from noteflow.infrastructure.queue.keys import DEFAULT_QUEUE
from noteflow.infrastructure.queue.tracing import current_context


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

    async def end(self, job_id: str) -> None:
        """Take the job out: it has ended."""
        await self._transaction.run(delete(outbox).where(outbox.c.job_id == job_id))


async def enqueue_in(
    transaction: Executes, command: Command, *, queue_name: str = DEFAULT_QUEUE, job_id: str | None = None
) -> list[str]:
    """Ask for a command in the transaction of a plain AsyncSession or AsyncConnection; the caller commits it."""
    _check_executes(transaction)
    statement, job_ids = _asking(command, queue_name, job_id)
    await transaction.execute(statement)
    return job_ids


async def kept_payload(engine: AsyncEngine, job_id: str) -> bytes | None:
    """Return the payload of a job that is in the outbox, in whatever state; None if it is not there."""
    if "\x00" in job_id:  # which no text in PostgreSQL can hold
        return None
    with translated():
        async with engine.connect() as connection:
            body: bytes | None = await connection.scalar(select(outbox.c.body).where(outbox.c.job_id == job_id))
            return body


def _check_executes(transaction: object) -> None:
    if isinstance(transaction, Session | Connection) or not hasattr(transaction, "execute"):
        found = type(transaction).__name__
        raise TypeError(
            f"transaction: must be an AsyncSession or an AsyncConnection, as of engine.begin(), not {found}"
        )


def _asking(command: Command, queue_name: str, job_id: str | None) -> tuple[Executable, list[str]]:
    check_command(command)
    check_queue_name(queue_name)
    check_job_id(job_id)
    # The moment is part of the payload from here on, so that it is the same job however often it is dispatched.
    now_ms = time.time_ns() // 1_000_000
    jobs = jobs_of(command, job_id)
    context = current_context()
    values: dict[str, Any] = {
        "job_ids": [job.job_id for job in jobs],
        "bodies": [payload_of(job.within(context), now_ms) for job in jobs],
        "queue": queue_name,
        "kind": command.function,
        "meeting": command.meeting_id,
        "sequence": command.sequence if isinstance(command, ChangeMeetingState) else None,
    }
    return text(_ASK).bindparams(**values), values["job_ids"]


# Lists, so that the text of the statement does not grow with the number of jobs.
_ASK = """
    INSERT INTO outbox (job_id, queue, kind, meeting_id, sequence, body)
    SELECT job_id, CAST(:queue AS text), CAST(:kind AS text), CAST(:meeting AS uuid), CAST(:sequence AS int), body
    FROM unnest(CAST(:job_ids AS text[]), CAST(:bodies AS bytea[])) WITH ORDINALITY AS jobs (job_id, body, place)
    ORDER BY place
    ON CONFLICT (job_id) DO NOTHING
"""
