"""A connection pooler, as far as a client can tell one from a server: it hands out sessions that it has opened itself.

In transaction mode a client has a session for as long as its transaction lasts, then another may have it, with all that
was prepared in it. In session mode it has one until it goes. Settings that a client asks for at its start are dropped,
or refused. Every client is told a number of a session that is none. It speaks no TLS and asks for no password.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, Self

from sqlalchemy import make_url

from tests.endpoints import Endpoint, Streams, connect, endpoint_of, led_to, listen
from tests.protocols import is_ssl_request

if TYPE_CHECKING:
    from collections.abc import Collection

Mode = Literal["transaction", "session"]
SETTINGS = ("lock_timeout", "idle_in_transaction_session_timeout", "default_transaction_isolation")
_READY = b"Z\0\0\0\5"
_CANCEL = (80877102).to_bytes(4, "big")


@dataclass(slots=True, eq=False)
class Pooler:
    """Pools sessions of the server of a URL, which must let its user in without a password."""

    server_url: str
    mode: Mode = "transaction"
    refuses: Collection[str] = ()
    keeps: Collection[str] = ("application_name",)
    """Settings that it sets in each session it opens, as the first client asked for them."""
    _free: deque[Streams] = field(default_factory=deque)
    _all: list[Streams] = field(default_factory=list)
    _clients: dict[asyncio.StreamWriter, asyncio.Task[None]] = field(default_factory=dict)
    _numbers: itertools.count[int] = field(default_factory=lambda: itertools.count(900_000_000))
    _greeting: bytes = b""
    _listener: asyncio.Server = field(init=False)

    async def __aenter__(self) -> Self:
        self._listener = await listen(self._serve, ("127.0.0.1", 0))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._listener.close()
        for writer in (*self._clients, *(writer for _, writer in self._all)):
            writer.transport.abort()
        await asyncio.gather(*self._clients.values())
        await self._listener.wait_closed()

    @property
    def url(self) -> str:
        """The server's URL, led through the pooler."""
        address: Endpoint = self._listener.sockets[0].getsockname()[:2]
        url = led_to(self.server_url, address)
        return f"{url}{'&' if '?' in url else '?'}sslmode=disable"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients[writer] = task
        held: Streams | None = None
        try:
            asked = await _settings_asked(reader, writer)
            if asked is None:
                return
            if refused := next((name for name in asked if name in self.refuses), None):
                await _refuse(writer, f"unsupported startup parameter: {refused}")
                return
            held = await self._session(asked)
            writer.write(_message(b"R", bytes(4)) + self._greeting + self._key() + _READY + b"I")
            held = self._kept(held)
            while (message := await _typed(reader))[:1] != b"X":
                held = held or await self._session(asked)
                if await _exchange(message, reader, held, writer):
                    held = self._kept(held)
        except (OSError, asyncio.IncompleteReadError):
            pass  # the client has gone
        finally:
            if held is not None:  # perhaps in the middle of a transaction
                held[1].transport.abort()
            writer.transport.abort()
            del self._clients[writer]

    def _key(self) -> bytes:
        return _message(b"K", next(self._numbers).to_bytes(4, "big") + bytes(4))

    def _kept(self, session: Streams) -> Streams | None:
        """What the client has left of its session when no transaction is open."""
        if self.mode == "session":
            return session
        self._free.append(session)
        return None

    async def _session(self, asked: dict[str, str]) -> Streams:
        """The one that was released last, or a new one."""
        if self._free:
            return self._free.pop()
        url = make_url(self.server_url)
        kept = {name: value for name, value in asked.items() if name in self.keeps}
        pairs = {"user": url.username or "", "database": url.database or "", **kept}
        body = (196608).to_bytes(4, "big") + b"".join(f"{k}\0{v}\0".encode() for k, v in pairs.items()) + b"\0"
        session = await connect(endpoint_of(self.server_url))
        self._all.append(session)
        session[1].write((len(body) + 4).to_bytes(4, "big") + body)
        self._greeting = b""
        while (message := await _typed(session[0]))[:1] != b"Z":
            assert message[:1] in b"RSKN", message
            self._greeting += message if message[:1] == b"S" else b""
        return session


async def _settings_asked(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> dict[str, str] | None:
    """What a client wants set; None of one that comes to cancel a statement, and is not waited for."""
    start = await _untyped(reader)
    if is_ssl_request(start):
        writer.write(b"N")
        start = await _untyped(reader)
    if start[4:8] == _CANCEL:
        return None
    words = start[8:].decode().split("\0")
    return {name: value for name, value in zip(words[::2], words[1::2], strict=False) if name}


async def _exchange(
    message: bytes, reader: asyncio.StreamReader, session: Streams, client: asyncio.StreamWriter
) -> bool:
    """Pass a request on, and its answer back while it comes; whether no transaction is open then."""
    answering = asyncio.create_task(_answer(session[0], client))
    try:
        session[1].write(message)
        while message[:1] not in b"QS":
            message = await _typed(reader)
            session[1].write(message)
        return await answering
    finally:
        answering.cancel()


async def _answer(session: asyncio.StreamReader, client: asyncio.StreamWriter) -> bool:
    while True:
        message = await _typed(session)
        client.write(message)
        if message[:1] == b"Z":
            await client.drain()
            return message[5:] == b"I"


async def _refuse(writer: asyncio.StreamWriter, reason: str) -> None:
    writer.write(_message(b"E", f"SFATAL\0VFATAL\0C08P01\0M{reason}\0\0".encode()))
    await writer.drain()


def _message(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4, "big") + body


async def _typed(reader: asyncio.StreamReader) -> bytes:
    kind = await reader.readexactly(1)
    return kind + await _untyped(reader)


async def _untyped(reader: asyncio.StreamReader) -> bytes:
    length = await reader.readexactly(4)
    return length + await reader.readexactly(int.from_bytes(length, "big") - 4)
