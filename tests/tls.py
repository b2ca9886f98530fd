"""TLS in front of real servers that were built without it, and certificates to try it with."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

Certificate = tuple[Path, Path]
"""Its file and its key's."""

_Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[None, None, None]]


def make_certificate(folder: Path, names: str = "DNS:localhost,IP:127.0.0.1") -> Certificate:
    """A certificate for `names` that is its own authority."""
    subject = ("-subj", "/CN=test", "-addext", f"subjectAltName={names}")
    made = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    where = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "cert.pem"))
    command = ["openssl", "req", "-x509", *made, *subject, *where]
    subprocess.run(command, check=True, capture_output=True)
    return folder / "cert.pem", folder / "key.pem"


@dataclass
class Encrypted:
    """A port of localhost, and what came through it."""

    port: int = 0
    received: bytearray = field(default_factory=bytearray)


@asynccontextmanager
async def encrypted(socket: Path, certificate: Certificate) -> AsyncIterator[Encrypted]:
    """The server at `socket`, through TLS."""
    found = Encrypted()
    async with _listening(_passing_on(socket, found), ssl=_context(certificate)) as found.port:
        yield found


@asynccontextmanager
async def encrypted_postgres(socket: Path, certificate: Certificate) -> AsyncIterator[Encrypted]:
    """The PostgreSQL at `socket`, through TLS that begins as the protocol says: a request, and one byte of consent."""
    found = Encrypted()
    pass_on = _passing_on(socket, found)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readexactly(8)
        writer.write(b"S")
        await writer.drain()
        with suppress(OSError):
            await writer.start_tls(_context(certificate))
            await pass_on(reader, writer)

    async with _listening(serve) as found.port:
        yield found


def _context(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*certificate)
    return context


@asynccontextmanager
async def _listening(serve: _Serve, ssl: ssl.SSLContext | None = None) -> AsyncIterator[int]:
    async def quietly(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A test that fails cancels this; asyncio's streams would take that for a fault, and the next test for its own.
        with suppress(asyncio.CancelledError, asyncio.IncompleteReadError):
            await serve(reader, writer)

    listener = await asyncio.start_server(quietly, "127.0.0.1", 0, ssl=ssl)
    async with listener:
        yield listener.sockets[0].getsockname()[1]


def _passing_on(socket: Path, found: Encrypted) -> _Serve:
    async def flow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seen: bytearray | None) -> None:
        try:
            while data := await reader.read(65_536):
                if seen is not None:
                    seen += data
                writer.write(data)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        from_server, to_server = await asyncio.open_unix_connection(str(socket))
        await asyncio.gather(flow(reader, to_server, found.received), flow(from_server, writer, None))

    return serve
