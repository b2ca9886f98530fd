"""uvicorn as a guest in the worker's loop: it takes no signal, keeps no log, and ends nothing but itself."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager, asynccontextmanager, nullcontext

import uvicorn
from starlette.types import ASGIApp
from structlog.typing import FilteringBoundLogger

from worker.http.listen import Listen

LONGEST_PAUSE_S = 5.0
GRACE_S = 1
MOST_CONNECTIONS = 50


class _Guest(uvicorn.Server):
    def capture_signals(self) -> AbstractContextManager[None]:  # type: ignore[override]  # theirs is a generator's
        return nullcontext()


@asynccontextmanager
async def serving(app: ASGIApp, listen: Listen, log: FilteringBoundLogger) -> AsyncIterator[None]:
    """Serve `app` as long as the block lasts. Where the port is taken it says so once, and tries until it is free."""
    server = _Guest(
        uvicorn.Config(
            app,
            log_config=None,
            log_level="warning",
            access_log=False,
            lifespan="off",
            ws="none",
            limit_concurrency=MOST_CONNECTIONS,
            timeout_graceful_shutdown=GRACE_S,
            server_header=False,
        )
    )
    task = asyncio.create_task(_serve(server, listen, log), name="http")
    try:
        yield
    finally:
        server.should_exit = True
        if not server.started:
            task.cancel()
        await asyncio.wait([task], timeout=2 * GRACE_S)
        task.cancel()


async def _serve(server: uvicorn.Server, listen: Listen, log: FilteringBoundLogger) -> None:
    try:
        with await _bound(listen, log) as taken:
            host, port = taken.getsockname()[:2]
            log.info("http.listening", host=host, port=port)
            await server.serve(sockets=[taken])
    except (Exception, SystemExit) as error:  # a worker without its pages still does its jobs
        log.exception("http.failed", error=type(error).__name__)


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
