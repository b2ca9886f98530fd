"""uvicorn as a guest in the worker's loop: it takes no signal, keeps no log, and ends nothing but itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

import uvicorn
from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from worker.engine.gate import Gate
from worker.engine.supervision import supervise
from worker.http.connections import BoundedConnection, limited
from worker.http.listen import Listen

LONGEST_PAUSE_S = 5.0
GRACE_S = 1


class _Guest(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # theirs is a generator's
        return nullcontext()


@asynccontextmanager
async def serving(app: ASGIApp, listen: Listen, log: FilteringBoundLogger, gate: Gate) -> AsyncIterator[None]:
    """Serve `app` as long as the block lasts. Where the port is taken it says so once, and tries until it is free.

    A server that ends is started again; meanwhile `gate` knows that it failed.
    """
    server: _Guest | None = None

    async def serve() -> None:
        nonlocal server
        with await _bound(listen, log) as taken:
            server = _guest(app)
            host, port = taken.getsockname()[:2]
            log.info("http.listening", host=host, port=port)
            try:
                await server.serve(sockets=[taken])
            except SystemExit as error:  # which would end the worker: its jobs go on without pages
                raise RuntimeError("the HTTP server did not start") from error
            finally:
                for listener in getattr(server, "servers", ()):
                    listener.close()
        if not server.should_exit:
            raise RuntimeError("the HTTP server ended")

    task = asyncio.create_task(supervise("http server", serve, gate, may_return=True), name="http")
    try:
        yield
    finally:
        if server is not None:
            server.should_exit = True
        if server is None or not server.started:
            task.cancel()
        await asyncio.wait([task], timeout=2 * GRACE_S)
        task.cancel()


def _guest(app: ASGIApp) -> _Guest:
    return _Guest(
        uvicorn.Config(
            limited(app),
            http=BoundedConnection,
            log_config=None,
            log_level="error",
            access_log=False,
            lifespan="off",
            ws="none",
            timeout_graceful_shutdown=GRACE_S,
            server_header=False,
        )
    )


async def _bound(listen: Listen, log: FilteringBoundLogger) -> socket.socket:
    pause_s = 0.25
    while True:
        family = socket.AF_INET6 if ":" in listen.host else socket.AF_INET
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind((listen.host, listen.port))
            listener.listen()  # before it is said: who comes early waits until uvicorn takes over
        except OSError as error:
            listener.close()
            if pause_s == 0.25:
                log.warning("http.unavailable", host=listen.host, port=listen.port, reason=error.strerror)
            await asyncio.sleep(pause_s)
            pause_s = min(LONGEST_PAUSE_S, pause_s * 2)
        else:
            listener.set_inheritable(False)
            return listener
