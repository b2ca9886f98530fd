"""One attempt, one unit, one transaction."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker

from noteflow.infrastructure.persistence.assets import MeetingAssets
from noteflow.infrastructure.persistence.meetings import MeetingRepository
from noteflow.infrastructure.persistence.segments import SegmentRepository
from noteflow.infrastructure.persistence.transaction import Transaction


class SqlAlchemyUnitOfWork:
    """All changes made inside `async with` are stored together by `commit`, or not at all.

    Nothing is asked of the pool before the first statement, so an idle unit holds no connection. Errors are those of
    `noteflow.domain.errors`; after one, or after `rollback`, the unit begins anew. With `lock_meetings` every meeting
    that is read stays locked until the unit ends: for the attempt that must not lose.
    """

    def __init__(
        self,
        session_factory: async_sessionmaker[AsyncSession],
        meetings_dir: str | Path,
        *,
        lock_meetings: bool = False,
    ) -> None:
        engine = session_factory.kw["bind"]
        if not isinstance(engine, AsyncEngine):
            raise TypeError("session_factory must be an async_sessionmaker bound to an AsyncEngine")
        self._transaction = Transaction(engine)
        self.meetings = MeetingRepository(self._transaction, lock_rows=lock_meetings)
        self.segments = SegmentRepository(self._transaction)
        self.assets = MeetingAssets(meetings_dir)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._transaction.rollback()

    async def commit(self) -> None:
        """Store everything since the last commit. Raises ConcurrencyConflict or StorageUnavailable, among others."""
        await self._transaction.commit()

    async def rollback(self) -> None:
        """Forget everything since the last commit."""
        await self._transaction.rollback()
