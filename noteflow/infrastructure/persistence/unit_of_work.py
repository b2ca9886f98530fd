"""One attempt, one unit, one transaction."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from noteflow.domain.outcomes import AlreadyApplied, Outcome
from noteflow.infrastructure.persistence.assets import MeetingAssets
from noteflow.infrastructure.persistence.ledger import JobIdentity, LedgerEntry
from noteflow.infrastructure.persistence.meetings import MeetingRepository
from noteflow.infrastructure.persistence.outbox import OutboxRepository
from noteflow.infrastructure.persistence.parking import Parking
from noteflow.infrastructure.persistence.segments import SegmentRepository
from noteflow.infrastructure.persistence.transaction import Transaction


class SqlAlchemyUnitOfWork:
    """All changes made inside `async with` are stored together by `commit`, or not at all.

    Nothing is asked of the pool before the first statement, so an idle unit holds no connection. Errors are those of
    `noteflow.domain.errors`; after one, or after `rollback`, the unit begins anew. With `lock_meetings` every meeting
    that is read stays locked until the unit ends: for the attempt that must not lose. With a `job` the unit does that
    job, and `finish` commits it. Outside `async with`, before it and after it, whatever is asked is a RuntimeError.
    """

    def __init__(
        self,
        session_factory: async_sessionmaker[AsyncSession],
        meetings_dir: str | Path,
        *,
        lock_meetings: bool = False,
        job: JobIdentity | None = None,
    ) -> None:
        engine = session_factory.kw["bind"]
        if not isinstance(engine, AsyncEngine):
            raise TypeError("session_factory must be an async_sessionmaker bound to an AsyncEngine")
        self._transaction = Transaction(engine, shut=True)
        self._job = job
        job_id = job.job_id if job is not None else None
        self.meetings = MeetingRepository(self._transaction, lock_rows=lock_meetings, job_id=job_id)
        self.segments = SegmentRepository(self._transaction, job_id)
        self.jobs = OutboxRepository(self._transaction)
        self.parking = Parking(self._transaction)
        self.assets = MeetingAssets(meetings_dir)

    async def __aenter__(self) -> Self:
        self._transaction.open()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.segments.forget()
        await self._transaction.shut()

    async def commit(self) -> None:
        """Store everything since the last commit. Raises ConcurrencyConflict or StorageUnavailable, among others."""
        await self._transaction.commit()

    async def finish(self, outcome: Outcome) -> Outcome:
        """Commit, and note in the same transaction that the unit's job ended so.

        If the ledger has the job already, nothing is stored and the answer is AlreadyApplied. Raises
        ConflictingContent if the ledger knows the same job id with other content.
        """
        if self._job is None:
            raise TypeError("only the unit of work of a job can finish it")
        entry = LedgerEntry(self._job, outcome)
        self._transaction.defer(entry, gates=True)
        committed = await self._transaction.flush_or_commit()
        if entry.was_known:
            await self.rollback()
            if not committed:  # the end of its outbox row was undone too, and nobody else would end it
                await self.jobs.end(self._job.job_id)
                await self.commit()
            return AlreadyApplied({"ledger": self._job.ledger_id})
        await self.commit()
        return outcome

    async def rollback(self) -> None:
        """Forget everything since the last commit."""
        self.segments.forget()
        await self._transaction.rollback()
