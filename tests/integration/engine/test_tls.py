"""A worker whose Redis is behind TLS: every one of its connections speaks it, and none to a stranger."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.worker import func

from tests.integration.engine.jobs import Ctx, put, serving
from tests.tls import Certificate, encrypted, make_certificate
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis
from worker.engine import Options, Worker

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make a certificate with")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for localhost that is its own authority, and its key."""
    return make_certificate(tmp_path_factory.mktemp("tls"))


class Muffler:
    """Passes bytes on to a port and back, until it is silent: then nothing that was sent arrives, ever."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._flows: set[asyncio.Task[None]] = set()
        self.port = self.connections = 0
        self.silent = False

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        from_server, to_server = await asyncio.open_connection("127.0.0.1", self._to_port)
        flows = [asyncio.create_task(self._pass_on(*way)) for way in ((reader, to_server), (from_server, writer))]
        self._flows.update(flows)
        await asyncio.wait(flows)

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.CancelledError):
            while data := await reader.read(65_536):
                if self.silent:
                    await asyncio.Event().wait()
                writer.write(data)
                await writer.drain()
        writer.transport.abort()

    async def end(self) -> None:
        for flow in self._flows:
            flow.cancel()
        await asyncio.gather(*self._flows)


@asynccontextmanager
async def muffled(port: int) -> AsyncIterator[Muffler]:
    muffler = Muffler(port)
    listener = await asyncio.start_server(muffler.serve, "127.0.0.1", 0)
    muffler.port = listener.sockets[0].getsockname()[1]
    async with listener:
        yield muffler
        await muffler.end()


@pytest.mark.parametrize("how", ["url", "settings"])
async def test_jobs_run_their_leases_are_renewed_and_the_server_calls(
    redis_url: str, redis_server: EmbeddedRedis, certificate: Certificate, how: str
) -> None:
    go_on = asyncio.Event()

    async def hold(ctx: Ctx) -> None:
        await go_on.wait()

    redis = ArqRedis.from_url(redis_url)
    async with encrypted(redis_server.socket, certificate) as server:
        port = server.port
        trust = str(certificate[0])
        settings = RedisSettings(
            host="localhost", port=port, ssl=True, ssl_ca_certs=trust, ssl_check_hostname=True, conn_timeout=10
        )
        pool = ArqRedis.from_url(f"rediss://localhost:{port}/0?ssl_ca_certs={trust}") if how == "url" else None
        options = Options(lease_s=30, idle_poll_s=30, command_timeout_s=10)  # a handshake takes long on a busy machine
        functions = [func(hold, name="hold")]
        worker = Worker(functions, redis_settings=settings, redis_pool=pool, options=options, handle_signals=False)
        async with serving(worker):
            await eventually(lambda: worker.idle and worker.leases.rounds)
            await put(redis, "j", "hold")
            await eventually(lambda: worker.job_counter == 1)
            for done in range(worker.leases.rounds, worker.leases.rounds + 3):
                worker.leases.renew_soon()
                await eventually(lambda done=done: worker.leases.rounds > done)  # type: ignore[misc]
            go_on.set()
            await eventually(lambda: redis.exists("arq:result:j"))
            assert worker.outage.count == 0
        await worker.close()
    await redis.aclose(close_connection_pool=True)


async def test_a_flow_that_is_dropped_without_a_word_does_not_end_the_worker(
    redis_url: str, redis_server: EmbeddedRedis, certificate: Certificate
) -> None:
    redis = ArqRedis.from_url(redis_url)
    async with encrypted(redis_server.socket, certificate) as server, muffled(server.port) as muffler:
        settings = RedisSettings(host="localhost", port=muffler.port, ssl=True, ssl_ca_certs=str(certificate[0]))
        options = Options(command_timeout_s=0.5, idle_poll_s=0.2)
        functions = [func(_nothing, name="nothing")]
        worker = Worker(functions, redis_settings=settings, options=options, handle_signals=False)
        async with serving(worker):
            await eventually(lambda: worker.idle)
            muffler.silent = True
            # Connections are given up: by redis-py, which waits for the peer's farewell, for a second of its own.
            await eventually(lambda: worker.outage.lasts)
            tried = muffler.connections
            await eventually(lambda: muffler.connections > tried + 3)
            muffler.silent = False
            await put(redis, "j", "nothing")
            await eventually(lambda: redis.exists("arq:result:j"))
        muffler.silent = True
        await worker.close()
    await redis.aclose(close_connection_pool=True)


async def test_a_server_whose_certificate_nobody_vouches_for_is_waited_for(
    redis_server: EmbeddedRedis, certificate: Certificate
) -> None:
    async with encrypted(redis_server.socket, certificate) as server:
        port = server.port
        settings = RedisSettings(host="localhost", port=port, ssl=True)
        worker = Worker([func(_nothing, name="nothing")], redis_settings=settings, handle_signals=False)
        async with serving(worker):
            await eventually(lambda: "CERTIFICATE_VERIFY_FAILED" in worker.outage.last_error)
            assert worker.health.excuses
        await worker.close()


async def _nothing(ctx: Ctx) -> None:
    return
