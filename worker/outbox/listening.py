"""PostgreSQL's call that there is something in the outbox."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import PoolProxiedConnection

from noteflow.domain.errors import StorageUnavailable
from noteflow.infrastructure.persistence.failover import is_given_up
from noteflow.infrastructure.persistence.faults import translated

CHANNEL = "noteflow_outbox"


@dataclass(slots=True)
class Calls:
    """What was heard on one connection."""

    _pooled: PoolProxiedConnection
    _called: asyncio.Event = field(default_factory=asyncio.Event)

    def note(self, *_: Any) -> None:
        """There was a call, or the end of the connection."""
        self._called.set()

    def forget(self) -> None:
        """Listen from here on. Raises StorageUnavailable if the connection is lost, for then nobody would call."""
        driver: Any = self._pooled.driver_connection
        if driver.is_closed() or is_given_up(self._pooled):
            raise StorageUnavailable("the connection that listened to PostgreSQL was lost")
        self._called.clear()

    async def wait(self, within_s: float) -> None:
        """Return at the first call since `forget`, or when the time is over."""
        try:
            async with asyncio.timeout(within_s):
                await self._called.wait()
        except TimeoutError:
            return


@asynccontextmanager
async def listening(engine: AsyncEngine) -> AsyncIterator[Calls]:
    """Hear every call from here on. Raises StorageUnavailable.

    Takes one connection out of the pool for as long as it lasts.
    """
    with translated():
        pooled = await engine.raw_connection()
    driver: Any = pooled.driver_connection
    calls = Calls(pooled)
    try:
        driver.add_termination_listener(calls.note)
        with translated():
            await driver.add_listener(CHANNEL, calls.note)
        yield calls
    finally:
        driver.remove_termination_listener(calls.note)
        # Its place in the pool is given to a fresh connection, so that no listener stays behind.
        pooled.invalidate()
        pooled.close()
