"""Count round trips to Redis from outside: a relay that sees who speaks."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

_CHUNK = 65_536


class TurnCounter:
    """A relay on a loopback port. A turn is a client's word after the server's: whatever is pipelined is one turn."""

    def __init__(self, redis_url: str) -> None:
        self._url = urlsplit(redis_url)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="turn-counter", daemon=True)
        self._tasks: set[asyncio.Task[None]] = set()
        self.turns = 0

    @property
    def url(self) -> str:
        """The address of the same Redis, through here."""
        port = self._server.sockets[0].getsockname()[1]
        credentials = self._url.netloc.rpartition("@")[0]
        return self._url._replace(netloc=f"{credentials}@127.0.0.1:{port}").geturl()

    def __enter__(self) -> Self:
        self._thread.start()
        listening = asyncio.start_server(self._meet, "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(listening, self._loop).result()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _close(self) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _meet(self, client_reader: asyncio.StreamReader, client_writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        server_reader, server_writer = await asyncio.open_connection(self._url.hostname, self._url.port)
        server_spoke = True

        async def upstream() -> None:
            nonlocal server_spoke
            while words := await client_reader.read(_CHUNK):
                self.turns += server_spoke
                server_spoke = False
                server_writer.write(words)
                await server_writer.drain()

        async def downstream() -> None:
            nonlocal server_spoke
            while words := await server_reader.read(_CHUNK):
                server_spoke = True
                client_writer.write(words)
                await client_writer.drain()

        both = [asyncio.ensure_future(upstream()), asyncio.ensure_future(downstream())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
        except asyncio.CancelledError:
            return  # not raised again: asyncio's server would report the task as broken
        finally:
            for one in both:
                one.cancel()
            server_writer.close()
            client_writer.close()
