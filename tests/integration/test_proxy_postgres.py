from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import pytest

from tests.conftest import OwnPostgres
from tests.databases import driver_url
from tests.proxy import Proxy, When
from tests.waiting import eventually

GONE = (asyncpg.PostgresConnectionError, asyncpg.InterfaceError, ConnectionError)


@pytest.fixture
async def proxy(empty_database_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(empty_database_url) as proxy, connected(proxy.url) as connection:
        await connection.execute("CREATE TABLE t (x int)")
        proxy.forget()
        yield proxy


@asynccontextmanager
async def connected(url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(driver_url(url))
    try:
        yield connection
    finally:
        connection.terminate()


async def rows(url: str) -> int:
    async with connected(url) as connection:
        return int(await connection.fetchval("SELECT count(*) FROM t"))


async def insert_one(url: str) -> None:
    async with connected(url) as connection, connection.transaction():
        await connection.execute("INSERT INTO t VALUES (1)")


async def test_undisturbed_everything_passes(proxy: Proxy) -> None:
    async with connected(proxy.url) as connection:
        blob = "x" * 1_000_000
        assert await connection.fetchval("SELECT $1::text", blob) == blob


async def test_cut_before_the_commit_nothing_is_stored(proxy: Proxy, empty_database_url: str) -> None:
    rule = proxy.on(b"COMMIT", "reset", when="before")
    with pytest.raises(GONE):
        await insert_one(proxy.url)
    assert rule.done == 1
    assert await rows(empty_database_url) == 0


async def test_cut_after_the_commit_it_is_stored_although_the_client_sees_the_same(
    proxy: Proxy, empty_database_url: str
) -> None:
    proxy.on(b"COMMIT", "reset", when="after")
    with pytest.raises(GONE):
        await insert_one(proxy.url)
    assert await rows(empty_database_url) == 1


async def test_closing_in_good_order_also_loses_the_answer(proxy: Proxy, empty_database_url: str) -> None:
    proxy.on(b"COMMIT", "close", when="after")
    with pytest.raises(GONE):
        await insert_one(proxy.url)
    assert await rows(empty_database_url) == 1


@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
async def test_a_prepared_statement_is_cut_before_or_after_it_is_executed(
    proxy: Proxy, empty_database_url: str, when: When, stored: int
) -> None:
    rule = proxy.on(b"INSERT", "reset", when=when)
    async with connected(proxy.url) as connection:
        with pytest.raises(GONE):
            await connection.execute("INSERT INTO t VALUES ($1)", 1)
    assert rule.done == 1
    assert await rows(empty_database_url) == stored


async def test_only_the_nth_occurrence_counts(proxy: Proxy, empty_database_url: str) -> None:
    rule = proxy.on(b"COMMIT", "reset", nth=2)
    await insert_one(proxy.url)
    with pytest.raises(GONE):
        await insert_one(proxy.url)
    await insert_one(proxy.url)
    assert (rule.seen, rule.done) == (3, 1)
    assert await rows(empty_database_url) == 2


async def test_every_occurrence_counts_when_none_is_named(proxy: Proxy, empty_database_url: str) -> None:
    rule = proxy.on(b"COMMIT", "reset", nth=None)
    for _ in range(3):
        with pytest.raises(GONE):
            await insert_one(proxy.url)
    assert rule.done == 3
    assert await rows(empty_database_url) == 0


async def test_a_token_deep_in_a_long_message_is_seen(proxy: Proxy) -> None:
    rule = proxy.on(b"needle", "reset")
    async with connected(proxy.url) as connection:
        with pytest.raises(GONE):
            await connection.fetchval("SELECT $1::text", "x" * 300_000 + "needle" + "x" * 300_000)
    assert rule.done == 1


@pytest.mark.parametrize(("when", "stored"), [("before", 0), ("after", 1)])
async def test_hanging_is_silent_on_that_connection_only(
    proxy: Proxy, empty_database_url: str, when: When, stored: int
) -> None:
    rule = proxy.on(b"COMMIT", "hang", when=when)
    hanging = asyncio.create_task(insert_one(proxy.url))
    await asyncio.wait_for(rule.happened.wait(), 5)
    assert await rows(proxy.url) == stored
    assert not hanging.done()
    hanging.cancel()
    with pytest.raises(asyncio.CancelledError):
        await hanging
    assert await rows(empty_database_url) == stored


async def test_a_silent_network_heals_for_new_connections(proxy: Proxy) -> None:
    proxy.hang()
    with pytest.raises(TimeoutError):
        await asyncpg.connect(driver_url(proxy.url), timeout=0.2)
    await proxy.heal()
    assert await rows(proxy.url) == 0


async def test_a_refusing_server_comes_back_at_the_same_address(proxy: Proxy) -> None:
    address = proxy.url
    async with connected(proxy.url) as connection:
        await proxy.refuse()
        with pytest.raises(GONE):
            await connection.fetchval("SELECT 1")
    with pytest.raises(OSError):
        await rows(address)
    await proxy.heal()
    assert await rows(address) == 0


async def test_an_idle_connection_can_be_broken(proxy: Proxy) -> None:
    async with connected(proxy.url) as connection:
        proxy.reset()
        await eventually(connection.is_closed)


async def test_a_delayed_message_arrives(proxy: Proxy, empty_database_url: str) -> None:
    rule = proxy.on(b"COMMIT", "delay", delay_s=0.05)
    await insert_one(proxy.url)
    assert rule.done == 1
    assert await rows(empty_database_url) == 1


async def test_round_trips_are_counted(proxy: Proxy) -> None:
    async with connected(proxy.url) as connection:
        assert proxy.round_trips == 0
        await connection.execute("SELECT 1; SELECT 2")
        assert proxy.round_trips == 1
        async with connection.transaction():
            pass
        assert proxy.round_trips == 3
        for expected in (5, 6):  # prepare and execute, then execute what is prepared
            await connection.fetchval("SELECT $1::text", "x" * 1_000_000)
            assert proxy.round_trips == expected
    assert proxy.connections == 1


async def test_a_password_and_tcp_pass_too(own_postgres: OwnPostgres) -> None:
    server = own_postgres(tcp=True)
    async with Proxy(server.url("noteflow")) as proxy, connected(proxy.url) as connection:
        assert await connection.fetchval("SELECT inet_server_port()") == server.port


async def test_it_can_listen_on_a_unix_socket(
    empty_database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    socket = tmp_path_factory.mktemp("p") / ".s.PGSQL.5432"
    assert len(str(socket)) < 100
    async with Proxy(empty_database_url, listen_on=socket) as proxy, connected(proxy.url) as connection:
        proxy.on(b"boom", "reset")
        assert await connection.fetchval("SELECT 1") == 1
        with pytest.raises(GONE):
            await connection.fetchval("SELECT 'boom'")
    assert not Path(socket).exists()
