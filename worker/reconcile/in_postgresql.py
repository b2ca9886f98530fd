"""What PostgreSQL knows of jobs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.queue.payload import read_payload
from worker.inspection.sources import in_utc
from worker.reconcile.witnesses import Witnesses

PAGE = 1_000


class Records:
    """The tables of jobs. Raises StorageUnavailable."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._engine = engine

    async def outbox(self, meeting_id: UUID | None, most: int) -> list[Witnesses]:
        """The jobs in the outbox, the longest waiting first."""
        return [_outbox_job(row) for row in await self._rows(_OUTBOX, meeting=meeting_id, most=most)]

    async def outbox_rows(self, job_ids: Collection[str]) -> dict[str, Row[Any]]:
        """The state of those that are still there, and since when."""
        rows = await self._rows(_OUTBOX_ROWS, job_ids=[_stored(job_id) for job_id in job_ids])
        return {row.job_id: row for row in rows}

    async def refresh(self, jobs: Collection[Witnesses]) -> None:
        """Ask the ledger and the dead letters anew."""
        finished = await self.finished(job.ledger_id for job in jobs)
        dead = {row.job_id for row in await self._rows(_STILL_DEAD, job_ids=[_stored(job.job_id) for job in jobs])}
        for job in jobs:
            job.is_finished = job.ledger_id in finished
            job.is_dead = job.is_dead or job.job_id in dead

    async def dead(self, meeting_id: UUID | None, since: datetime, most: int) -> list[Witnesses]:
        """The dead letters that nobody has replayed or dropped."""
        rows = await self._rows(_DEAD, meeting=meeting_id, since=since, most=most)
        return [
            Witnesses(
                row.job_id, row.kind, row.meeting_id, is_dead=True, is_bodiless=row.is_bodiless, reason=row.reason,
                since=row.died_at,
            )
            for row in rows
        ]  # fmt: skip

    async def applied(self, meeting_id: UUID | None, since: datetime) -> int:
        """How many jobs have been finished since."""
        return int((await self._rows(_APPLIED, meeting=meeting_id, since=since))[0].number)

    async def applied_jobs(self, meeting_id: UUID, since: datetime, most: int) -> list[Witnesses]:
        """The finished jobs of a meeting."""
        rows = await self._rows(_APPLIED_JOBS, meeting=meeting_id, since=since, most=most)
        return [
            Witnesses(row.job_id, row.kind, row.meeting_id, is_finished=True, since=row.committed_at) for row in rows
        ]

    async def knows(self, meeting_id: UUID) -> bool:
        """Whether the meeting is stored, or a job of it is or was there, however long ago."""
        return bool((await self._rows(_KNOWS, meeting=meeting_id))[0].known)

    async def finished(self, ledger_ids: Iterable[str]) -> set[str]:
        """Those that the ledger has."""
        wanted, found = [_stored(ledger_id) for ledger_id in ledger_ids], set[str]()
        for begin in range(0, len(wanted), PAGE):
            found |= {row.job_id for row in await self._rows(_FINISHED, job_ids=wanted[begin : begin + PAGE])}
        return found

    async def _rows(self, sql: str, **values: Any) -> list[Row[Any]]:
        with translated():
            async with self._connected() as connection:
                return list(in_utc((await connection.execute(text(sql), values)).all()))

    @asynccontextmanager
    async def _connected(self) -> AsyncIterator[AsyncConnection]:
        async with self._engine.connect() as connection:
            yield connection


def _stored(job_id: str) -> str:
    """The id as PostgreSQL can be asked for it; one that was no UTF-8 is not there under any name."""
    return job_id.encode("utf-8", "backslashreplace").decode().replace("\x00", "")


def _outbox_job(row: Row[Any]) -> Witnesses:
    payload = read_payload(row.body) if row.body is not None else None
    return Witnesses(
        row.job_id,
        row.kind,
        row.meeting_id,
        queue=row.queue,
        ledger_id=payload.ledger_id(row.job_id) if payload else "",
        outbox_state=row.state,
        outbox_since=row.dispatched_at,
        missing=row.missing,
        since=row.parked_at or row.created_at,
    )


# Only a state change without a number has another name in the ledger, and only its payload tells it.
_OUTBOX = """
    SELECT job_id, queue, kind, meeting_id, state, dispatched_at, missing, parked_at, created_at,
           CASE WHEN kind = 'change_meeting_state' AND sequence IS NULL THEN body END AS body
    FROM outbox WHERE CAST(:meeting AS uuid) IS NULL OR meeting_id = :meeting ORDER BY position LIMIT :most
"""
_OUTBOX_ROWS = "SELECT job_id, state, dispatched_at, missing FROM outbox WHERE job_id = ANY (:job_ids)"
_DEAD = """
    SELECT DISTINCT ON (job_id) job_id, kind, meeting_id, reason, died_at, body IS NULL AS is_bodiless FROM dead_letters
    WHERE state = 'dead' AND died_at >= :since AND (CAST(:meeting AS uuid) IS NULL OR meeting_id = :meeting)
    ORDER BY job_id, died_at DESC LIMIT :most
"""
_APPLIED = """
    SELECT count(*) AS number FROM job_ledger
    WHERE committed_at >= :since AND (CAST(:meeting AS uuid) IS NULL OR meeting_id = :meeting)
"""
_APPLIED_JOBS = """
    SELECT job_id, kind, meeting_id, committed_at FROM job_ledger
    WHERE committed_at >= :since AND meeting_id = :meeting ORDER BY committed_at LIMIT :most
"""
_KNOWS = """
    SELECT EXISTS (SELECT FROM meetings WHERE id = :meeting)
        OR EXISTS (SELECT FROM job_ledger WHERE meeting_id = :meeting)
        OR EXISTS (SELECT FROM dead_letters WHERE meeting_id = :meeting)
        OR EXISTS (SELECT FROM outbox WHERE meeting_id = :meeting) AS known
"""
_STILL_DEAD = "SELECT job_id FROM dead_letters WHERE state = 'dead' AND job_id = ANY (:job_ids)"
_FINISHED = "SELECT job_id FROM job_ledger WHERE job_id = ANY (:job_ids)"
