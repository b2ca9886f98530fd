"""Real sockets against the pages' server: no client keeps a probe from its answer."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import structlog
from prometheus_client import CollectorRegistry, Gauge
from structlog.testing import LogCapture

from tests.acceptance.pages import Page, Pages, free_port
from tests.waiting import eventually
from worker.engine.gate import Gate
from worker.http import connections
from worker.http.app import create_app
from worker.http.connections import BoundedConnection
from worker.http.listen import Listen
from worker.http.server import serving

ALIVE = Page(200, "alive\n")


class Site:
    """The pages of a worker that is ready when `ready` is set, at a port of their own."""

    def __init__(self) -> None:
        self.pages = Pages(free_port())
        self.ready = asyncio.Event()
        self.ready.set()
        self.gate = Gate()
        self.lines = LogCapture()
        self.registry = CollectorRegistry()

    async def why_not_ready(self) -> Sequence[str]:
        await self.ready.wait()
        return []

    async def before_scrape(self) -> None:
        """Nothing has to be fetched."""

    @asynccontextmanager
    async def served(self) -> AsyncIterator[None]:
        app = create_app(self.registry, why_not_ready=self.why_not_ready, before_scrape=self.before_scrape)
        log = structlog.wrap_logger(None, processors=[self.lines])
        async with serving(app, Listen("127.0.0.1", self.pages.port), log, self.gate):
            await eventually(lambda: self.lines.entries)
            yield

    async def connect(self, said: bytes = b"") -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.pages.port)
        writer.write(said)
        return reader, writer


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    site = Site()
    async with site.served():
        yield site


async def test_a_probe_is_answered_although_others_hold_more_connections_than_there_may_be(site: Site) -> None:
    silent = [await site.connect() for _ in range(connections.MOST_CONNECTIONS + 20)]
    assert await site.pages.read("/livez") == ALIVE
    assert await site.pages.read("/readyz") == Page(200, "ready\n")
    # Those that have been silent for longest gave way.
    assert [reader.at_eof() for reader, _ in silent[:20]] == [True] * 20
    assert not silent[-1][0].at_eof()
    close(silent)


async def test_more_requests_than_are_answered_at_once_are_refused_and_a_probe_is_not(site: Site) -> None:
    site.ready.clear()
    waiting = [await site.connect(b"GET /readyz HTTP/1.1\r\nhost: x\r\n\r\n") for _ in range(connections.MOST_REQUESTS)]
    await eventually(lambda: refuses(site))
    assert await site.pages.read("/livez") == ALIVE
    site.ready.set()
    for reader, _ in waiting:
        assert b"200 OK" in await reader.readline()
    assert await site.pages.read("/readyz") == Page(200, "ready\n")
    close(waiting)


async def refuses(site: Site) -> bool:
    try:
        return (await site.pages.read("/metrics")).status == 503
    except TimeoutError:
        return False


@pytest.mark.parametrize("said", [b"", b"GET /liv", b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n"])
async def test_a_client_that_sends_no_headers_in_time_is_closed(
    said: bytes, site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(BoundedConnection, "headers_s", 0.1)
    reader, writer = await site.connect(said)
    with_answer = await asyncio.wait_for(read_all(reader), 20)
    assert (b"alive" in with_answer) is said.endswith(b"\r\n\r\n")
    writer.close()


async def test_headers_that_trickle_are_not_waited_for(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BoundedConnection, "headers_s", 0.3)
    reader, writer = await site.connect()
    ended = asyncio.create_task(read_all(reader))
    while not ended.done():
        writer.write(b"G")
        await asyncio.wait([ended], timeout=0.05)
    writer.close()


async def test_a_client_that_does_not_read_its_answer_is_closed(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    # The client notices it when it reads on; what counts is that the server holds it no longer.
    lost, connection_lost = asyncio.Event(), BoundedConnection.connection_lost

    def note(connection: BoundedConnection, error: Exception | None) -> None:
        connection_lost(connection, error)
        lost.set()

    monkeypatch.setattr(BoundedConnection, "connection_lost", note)
    monkeypatch.setattr(BoundedConnection, "headers_s", 0.1)
    monkeypatch.setattr(BoundedConnection, "answer_s", 1.5)
    large = Gauge("large", "A page that fills every buffer in between.", ["label"], registry=site.registry)
    for number in range(120):
        large.labels(f"{number:050000}").set(1)
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # it would grow, but not once it is set
    client.connect(("127.0.0.1", site.pages.port))
    client.sendall(b"GET /metrics HTTP/1.1\r\nhost: x\r\n\r\n")
    began_at = asyncio.get_running_loop().time()
    await asyncio.wait_for(lost.wait(), 20)
    assert asyncio.get_running_loop().time() - began_at > 1.0  # it had the time for the answer, not that for headers
    client.close()


async def test_a_server_that_breaks_is_started_again_and_the_worker_is_not_ready_meanwhile(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(_self: object, _counter: int) -> bool:
        raise RuntimeError("broken tick")

    with monkeypatch.context() as patch:
        patch.setattr("uvicorn.Server.on_tick", broken)
        await eventually(lambda: site.gate.failures == ("http server failed: RuntimeError",))
    await eventually(lambda: lives(site))
    assert len(site.lines.entries) >= 2


async def lives(site: Site) -> bool:
    try:
        return await site.pages.read("/livez") == ALIVE
    except OSError:
        return False


async def read_all(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""


def close(opened: Sequence[tuple[asyncio.StreamReader, asyncio.StreamWriter]]) -> None:
    for _, writer in opened:
        writer.close()
