"""One connection through the proxy."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING

from tests.protocols import is_ssl_request

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tests.endpoints import Streams
    from tests.protocols import Message, Wire
    from tests.proxy import Proxy, Rule

RST_ON_CLOSE = struct.pack("ii", 1, 0)


class _EndedError(Exception):
    """The connection was broken on purpose."""


class Flow:
    """Carries messages both ways until one side leaves or a rule breaks the connection."""

    def __init__(self, proxy: Proxy, wire: Wire, *, client: Streams, server: Streams) -> None:
        self._proxy = proxy
        self._wire = wire
        self._client_reader, self._client = client
        self._server_reader, self._server = server
        self._asked = 0
        self._answered = 0
        self._waiting = False  # the client has asked for something and not got it yet
        self._due: deque[tuple[int, Rule]] = deque()  # rules to apply when that answer is whole
        self._held = bytearray()  # of an answer that a rule waits for
        self.silent = proxy.silent

    async def run(self) -> None:
        """Return when both connections are closed."""
        self._pumps = (
            asyncio.create_task(self._pump(self._client_reader, self._upward)),
            asyncio.create_task(self._pump(self._server_reader, self._downward)),
        )
        await asyncio.wait(self._pumps, return_when=asyncio.FIRST_COMPLETED)
        for pump in self._pumps:
            pump.cancel()
        results = await asyncio.gather(*self._pumps, return_exceptions=True)
        for writer in (self._client, self._server):
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()
        for result in results:
            if isinstance(result, Exception) and not isinstance(result, (OSError, _EndedError)):
                raise result

    def reset(self) -> None:
        """Break both connections with RST (a unix socket knows only the end of file)."""
        for writer in (self._client, self._server):
            raw: socket.socket = writer.get_extra_info("socket")
            if raw.family == socket.AF_INET and raw.fileno() >= 0:  # it may just have ended by itself
                raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RST_ON_CLOSE)
            writer.transport.abort()
        for pump in self._pumps:
            pump.cancel()

    async def _pump(self, reader: asyncio.StreamReader, pass_on: Callable[[bytes], Awaitable[None]]) -> None:
        while data := await reader.read(65_536):
            if not self.silent:
                await pass_on(data)

    async def _upward(self, data: bytes) -> None:
        for message in self._wire.requests(data):
            if is_ssl_request(message.data):
                self._client.write(b"N")
                continue
            self._count(message)
            rule = self._proxy.match(message)
            if rule is not None and rule.when == "before":
                await self._apply(rule)
            if self._proxy.delay_s:
                await asyncio.sleep(self._proxy.delay_s)
            if self.silent:
                return
            # An answer comes after the end of a request; a message that ends none waits for the next one that does.
            if rule is not None and rule.when == "after":
                self._due.append((self._asked + 1, rule))
            self._asked += message.ends
            self._server.write(message.data)
        await self._server.drain()

    async def _downward(self, data: bytes) -> None:
        for message in self._wire.answers(data):
            self._held += message.data
            self._answered += message.ends
            self._waiting = self._answered < self._asked
            while self._due and message.ends and self._due[0][0] == self._answered:
                await self._apply(self._due.popleft()[1])
            if self.silent:
                self._held.clear()
                return
            if not self._is_waited_for():
                self._release()
        await self._client.drain()

    async def _apply(self, rule: Rule) -> None:
        rule.note()
        match rule.action:
            case "reset":
                self.reset()
                raise _EndedError
            case "close":
                raise _EndedError
            case "hang":
                self.silent = True
            case "delay":
                await asyncio.sleep(rule.delay_s)

    def _count(self, message: Message) -> None:
        if message.name:
            self._proxy.commands.append(message.name)
        if not message.greeting and not self._waiting:
            self._waiting = True
            self._proxy.round_trips += 1

    def _is_waited_for(self) -> bool:
        """Whether a rule waits for the end of the answer that is arriving, and its request was sent whole.

        asyncpg prepares with a Flush and must hear of it before it sends the Sync that ends the request.
        """
        return bool(self._due) and self._answered + 1 == self._due[0][0] <= self._asked

    def _release(self) -> None:
        self._client.write(bytes(self._held))
        self._held.clear()
