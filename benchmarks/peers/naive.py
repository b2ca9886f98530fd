"""The handler that most projects write: a session, a mapped class, `add_all`, `commit`."""

from __future__ import annotations

from typing import Any, Self
from uuid import UUID

from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """The registry of the one class below."""


class NaiveSegment(Base):
    """A row of the product's own table."""

    __tablename__ = "segments"

    meeting_id: Mapped[UUID] = mapped_column(primary_key=True)
    segment_id: Mapped[int] = mapped_column(primary_key=True)
    revision: Mapped[int] = mapped_column(default=0)
    start_time: Mapped[float]
    end_time: Mapped[float]
    text: Mapped[str]
    speaker: Mapped[str | None]
    language: Mapped[str | None]
    confidence: Mapped[float | None]


class NaiveStore:
    """Stores batches of segments through the ORM, each in a session of its own."""

    def __init__(self, database_url: str, pool_size: int) -> None:
        self._engine = create_async_engine(database_url, pool_size=pool_size, max_overflow=0)
        self._sessions = async_sessionmaker(self._engine, expire_on_commit=False)

    async def add(self, meeting_id: str, segments: list[dict[str, Any]]) -> None:
        """Store one job's segments and commit."""
        meeting = UUID(meeting_id)
        async with self._sessions() as session:
            session.add_all([NaiveSegment(meeting_id=meeting, **segment) for segment in segments])
            await session.commit()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._engine.dispose()
