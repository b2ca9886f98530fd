"""Cuts the byte streams of PostgreSQL and Redis into messages, as far as a proxy needs to understand them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Message:
    """One whole message."""

    data: bytes
    ends: bool = True  # the server answers after it; or it is the last of an answer
    name: str = ""  # of a Redis command
    greeting: bool = False  # belongs to connecting or parting


class Wire(Protocol):
    """Remembers incomplete messages of one connection, both ways."""

    def requests(self, data: bytes) -> Iterator[Message]:
        """Yield the messages from the client that are now complete."""
        ...

    def answers(self, data: bytes) -> Iterator[Message]:
        """Yield the messages from the server that are now complete."""
        ...


class PostgresWire:
    """PostgreSQL 3.0: a type byte and a length; the first message of a client has no type byte.

    The server answers Sync (S) and Query (Q), and each answer ends with ReadyForQuery (Z). What asyncpg's executemany
    hears after a Flush counts as the beginning of the answer to the Sync that follows.
    """

    def __init__(self) -> None:
        self._upward = bytearray()
        self._downward = bytearray()
        self._connecting = True

    def requests(self, data: bytes) -> Iterator[Message]:
        self._upward += data
        while message := self._take(self._upward, typed=not self._connecting):
            if self._connecting:
                self._connecting = message[4:8] == _SSL_REQUEST  # a refused one is followed by a plain start
                yield Message(message, ends=not self._connecting, greeting=True)
            else:
                yield Message(message, ends=message[:1] in b"QS", greeting=message[:1] in b"pX")

    def answers(self, data: bytes) -> Iterator[Message]:
        self._downward += data
        while message := self._take(self._downward, typed=True):
            yield Message(message, ends=message[:1] == b"Z")

    @staticmethod
    def _take(buffer: bytearray, *, typed: bool) -> bytes:
        if len(buffer) < 4 + typed:
            return b""
        length = typed + int.from_bytes(buffer[typed : typed + 4], "big")
        if len(buffer) < length:
            return b""
        message = bytes(buffer[:length])
        del buffer[:length]
        return message


_SSL_REQUEST = (80877103).to_bytes(4, "big")


def is_ssl_request(data: bytes) -> bool:
    """Whether a PostgreSQL client asks for TLS, which nobody here speaks."""
    return len(data) == 8 and data[4:8] == _SSL_REQUEST


class RedisWire:
    """RESP2 and RESP3: one command is an array, one answer is one value; pushes and attributes answer nothing."""

    def __init__(self) -> None:
        self._upward = bytearray()
        self._downward = bytearray()

    def requests(self, data: bytes) -> Iterator[Message]:
        self._upward += data
        while message := self._take(self._upward):
            yield Message(message, name=_command_name(message))

    def answers(self, data: bytes) -> Iterator[Message]:
        self._downward += data
        while message := self._take(self._downward):
            yield Message(message, ends=message[:1] not in b">|")

    @staticmethod
    def _take(buffer: bytearray) -> bytes:
        try:
            end = _end_of_value(buffer, 0)
        except _IncompleteError:
            return b""
        message = bytes(buffer[:end])
        del buffer[:end]
        return message


class _IncompleteError(Exception):
    pass


def _end_of_value(buffer: bytearray, start: int) -> int:
    line_end = buffer.find(b"\r\n", start) + 2
    if line_end < 2:
        raise _IncompleteError
    kind = buffer[start : start + 1]
    if kind in b"$=!":
        length = int(buffer[start + 1 : line_end])
        end = line_end + length + 2 if length >= 0 else line_end
        if end > len(buffer):
            raise _IncompleteError
        return end
    if kind in b"*~>%|":
        count = max(0, int(buffer[start + 1 : line_end])) * (2 if kind in b"%|" else 1)
        for _ in range(count):
            line_end = _end_of_value(buffer, line_end)
    return line_end


def _command_name(message: bytes) -> str:
    words = message.split(b"\r\n", 3)
    return words[2 if message[:1] == b"*" else 0].decode(errors="replace").upper()
