"""PostgreSQL's call that there is something in the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.persistence.faults import translated

CHANNEL = "noteflow_outbox"


@asynccontextmanager
async def listening(engine: AsyncEngine) -> AsyncIterator[asyncio.Event]:
    """An event that is set by every call, and when the connection is lost. Raises StorageUnavailable.

    Takes one connection out of the pool for as long as it lasts.
    """
    called = asyncio.Event()
    called.set()

    def call(*_: Any) -> None:
        called.set()

    with translated():
        pooled = await engine.raw_connection()
    driver: Any = pooled.driver_connection
    try:
        driver.add_termination_listener(call)
        with translated():
            await driver.add_listener(CHANNEL, call)
        yield called
    finally:
        driver.remove_termination_listener(call)
        # Its place in the pool is given to a fresh connection, so that no listener stays behind.
        pooled.invalidate()
        pooled.close()
