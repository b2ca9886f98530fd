"""An engine that fails fast, and a question to ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.transaction import Transaction


@asynccontextmanager
async def an_engine(url: str, **settings: Any) -> AsyncIterator[AsyncEngine]:
    """An engine that gives up soon."""
    engine = create_engine(url, **{"pool_size": 2, "pool_pre_ping": False, "connect_timeout_s": 2, **settings})
    yield engine
    await engine.dispose()


async def ask(engine: AsyncEngine, statement: str = "SELECT 1") -> None:
    """Run a statement in a transaction of its own."""
    transaction = Transaction(engine)
    try:
        await transaction.run(text(statement))
        await transaction.commit()
    finally:
        await transaction.rollback()
