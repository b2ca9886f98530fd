"""rediss:// and sslmode=verify-full reach no server with a certificate for another name or of an unknown authority."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING
from uuid import uuid4

import pytest
from arq.connections import create_pool
from redis.exceptions import RedisError
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.errors import NoteflowError, QueueUnavailable, StorageMisconfigured
from noteflow.domain.value_objects import MeetingId, MeetingState
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.faults import translated
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.urls import open_redis
from tests.tls import Certificate, encrypted, encrypted_postgres, make_certificate
from worker.inspection.sources import open_sources
from worker.redis_settings import redis_settings
from worker.settings import Settings

if TYPE_CHECKING:
    from worker.embedded import EmbeddedPostgres, EmbeddedRedis

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="no openssl here to make a certificate with")

OTHER = "DNS:other.example"
SECRET = "hunter2"


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for localhost."""
    return make_certificate(tmp_path_factory.mktemp("ours"))


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    """A certificate for another name."""
    return make_certificate(tmp_path_factory.mktemp("others"), OTHER)


async def by_client(url: str) -> None:
    async with JobClient.from_url(url) as client:
        await client.enqueue(ChangeMeetingState(MeetingId(uuid4()), MeetingState.RECORDING))


async def by_command(url: str) -> None:
    settings = Settings.model_validate({"redis_url": url})
    async with open_sources(settings) as sources:
        await sources.now_ms()


async def by_worker(url: str) -> None:
    settings = redis_settings(url)
    settings.conn_retries, settings.conn_timeout = 0, 10
    pool = await create_pool(settings)
    await pool.aclose(close_connection_pool=True)


async def by_relay(url: str) -> None:
    redis = open_redis(url, timeout_s=10)
    try:
        await redis.ping()
    finally:
        await redis.aclose()


WAYS = pytest.mark.parametrize("way", [by_client, by_command, by_worker, by_relay])
Way = Callable[[str], Awaitable[None]]


@WAYS
async def test_a_certificate_for_another_name_gets_no_password(
    way: Way, redis_server: EmbeddedRedis, others: Certificate
) -> None:
    async with encrypted(redis_server.socket, others) as server:
        url = f"rediss://:{SECRET}@localhost:{server.port}?ssl_ca_certs={others[0]}"
        with pytest.raises((NoteflowError, RedisError)) as caught:
            await way(url)
        assert "ostname mismatch" in str(caught.value)
        assert SECRET not in str(caught.value)
        assert not server.received


@WAYS
async def test_an_authority_that_is_not_known_gets_no_password(
    way: Way, redis_server: EmbeddedRedis, ours: Certificate
) -> None:
    async with encrypted(redis_server.socket, ours) as server:
        with pytest.raises((NoteflowError, RedisError), match=r"self.signed certificate"):
            await way(f"rediss://:{SECRET}@localhost:{server.port}")
        assert not server.received


@WAYS
@pytest.mark.parametrize(
    ("whose", "options"),
    [
        ("ours", "ssl_ca_certs={}"),
        ("others", "ssl_ca_certs={}&ssl_check_hostname=false"),
        ("others", "ssl_cert_reqs=none"),
    ],
)
async def test_a_server_that_is_trusted_by_the_url_is_reached(
    way: Way, whose: str, options: str, redis_server: EmbeddedRedis, request: pytest.FixtureRequest
) -> None:
    certificate: Certificate = request.getfixturevalue(whose)
    async with encrypted(redis_server.socket, certificate) as server:
        await way(f"rediss://localhost:{server.port}?{options.format(certificate[0])}")
        assert server.received


async def test_a_server_that_speaks_no_tls_is_named_so() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR unknown command\r\n")
        writer.close()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0) as listener:
        port = listener.sockets[0].getsockname()[1]
        with pytest.raises(QueueUnavailable, match=rf"Redis at localhost:{port}/0 cannot be spoken to by TLS"):
            await by_client(f"rediss://:{SECRET}@localhost:{port}")


async def connect_once(engine: AsyncEngine) -> None:
    with translated():
        async with engine.connect() as connection:
            await connection.execute(text("SELECT 1"))


async def ask(url: str) -> None:
    engine = create_engine(url, pool_size=1, connect_timeout_s=10)
    try:
        await connect_once(engine)
    finally:
        await engine.dispose()


def database(port: int, options: str) -> str:
    return f"postgresql://postgres:{SECRET}@localhost:{port}/postgres?{options}"


async def test_postgresql_with_verify_full_checks_the_name(
    postgres: EmbeddedPostgres, ours: Certificate, others: Certificate
) -> None:
    async with encrypted_postgres(postgres.socket, ours) as server:
        await ask(database(server.port, f"sslmode=verify-full&sslrootcert={ours[0]}"))
    async with encrypted_postgres(postgres.socket, others) as server:
        with pytest.raises(StorageMisconfigured, match="certificate that is not accepted: Hostname mismatch") as caught:
            await ask(database(server.port, f"sslmode=verify-full&sslrootcert={others[0]}"))
        assert SECRET not in str(caught.value)
        with pytest.raises(StorageMisconfigured, match=r"not accepted: .*self.signed"):
            await ask(database(server.port, "sslrootcert=system"))
        assert not server.received
        await ask(database(server.port, f"sslmode=verify-ca&sslrootcert={others[0]}"))
        await ask(database(server.port, "sslmode=require"))


async def test_a_root_certificate_that_goes_away_later_is_named(
    postgres: EmbeddedPostgres, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "root.crt"
    root.touch()
    monkeypatch.setenv("PGSSLROOTCERT", str(root))
    engine = create_engine(database(1, "sslmode=verify-full"), pool_size=1)
    monkeypatch.delenv("PGSSLROOTCERT")
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(StorageMisconfigured, match=r'root certificate file ".*/\.postgresql/root\.crt" does not exist'):
        await connect_once(engine)
    await engine.dispose()


async def test_options_and_socket_hosts_reach_the_server(postgres: EmbeddedPostgres) -> None:
    folder = str(postgres.socket.parent).replace("/", "%2F")
    engine = create_engine(f"postgresql://postgres@{folder}/postgres?options=-c%20search_path%3Dnotes,public")
    async with engine.connect() as connection:
        assert await connection.scalar(text("SHOW search_path")) == "notes,public"
        assert await connection.scalar(text("SHOW lock_timeout")) == "5s"
    await engine.dispose()
