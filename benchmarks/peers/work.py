"""What the jobs do, the same for every system."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, Any

from benchmarks.peers.board import Board
from benchmarks.peers.payloads import index_of

if TYPE_CHECKING:
    from benchmarks.peers.naive import NaiveStore
    from benchmarks.peers.protocol import Config

NAP_S = 0.05


class Work:
    """The three jobs; each notes on the board that it ran. Use within `opened`."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._board = Board(config.board)
        self._store: NaiveStore | None = None

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Open the database if there is one, and say that this worker is ready."""
        async with AsyncExitStack() as stack:
            if self._config.database_url is not None:
                from benchmarks.peers.naive import NaiveStore  # only the ingest suite's workers pay for the ORM

                store = NaiveStore(self._config.database_url, pool_size=self._config.max_jobs)
                self._store = await stack.enter_async_context(store)
            self.say_ready()
            yield

    def say_ready(self) -> None:
        """Say that this worker has started."""
        self._board.say_ready(self._config.number)

    async def noop(self, index: int) -> None:
        """Do nothing."""
        self._board.note(index)

    async def nap(self, index: int) -> None:
        """Wait for `NAP_S`, as for somebody's answer."""
        self._board.note(index)
        await asyncio.sleep(NAP_S)

    async def ingest(self, meeting_id: str, segments: list[dict[str, Any]]) -> None:
        """Store the segments as people usually do, and note when they were committed."""
        assert self._store is not None
        await self._store.add(meeting_id, segments)
        self.note_ingested(segments)

    def note_ingested(self, segments: list[dict[str, Any]]) -> None:
        """Note that the job of these segments is committed."""
        self._board.note(index_of(segments))
