"""No connection can be had: nobody is there, nobody answers, or nobody lets us in."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.errors import (
    StorageMisconfigured,
    StorageUnavailable,
)
from noteflow.infrastructure.persistence.transaction import Transaction
from tests.integration.persistence.faulty import an_engine, ask


async def test_nobody_listens() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        async with an_engine(f"postgresql://me:s3cret@127.0.0.1:{unused.getsockname()[1]}/db") as engine:
            port = unused.getsockname()[1]
            with pytest.raises(StorageUnavailable, match=rf"^PostgreSQL at 127\.0\.0\.1:{port}/db cannot") as caught:
                await ask(engine)
    assert "s3cret" not in str(caught.value)


async def test_no_such_host() -> None:
    async with an_engine("postgresql://me@nowhere.invalid/db") as engine:
        with pytest.raises(StorageUnavailable, match=r"^PostgreSQL at nowhere\.invalid/db cannot be reached"):
            await ask(engine)


@asynccontextmanager
async def a_listener(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        yield f"postgresql://me@127.0.0.1:{server.sockets[0].getsockname()[1]}/db?sslmode=disable"


async def test_a_listener_that_never_answers() -> None:
    writers = []

    async def stay_silent(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)

    async with a_listener(stay_silent) as url, an_engine(url, connect_timeout_s=0.2) as engine:
        with pytest.raises(StorageUnavailable, match=r"^PostgreSQL at 127\.0\.0\.1:\d+/db did not answer in time$"):
            await ask(engine)
        for writer in writers:
            writer.close()


@pytest.mark.parametrize(
    ("sqlstate", "says"),
    [
        ("57P03", "the database system is starting up"),
        ("XX000", "could not write init file"),  # as a server with a full disk does
        ("40001", "could not serialize access"),  # of no job: nothing of one was sent
        ("59X01", "a code of tomorrow"),
    ],
)
async def test_a_server_that_begins_no_session_now(sqlstate: str, says: str) -> None:
    async with refusing(sqlstate, says) as engine:
        with pytest.raises(StorageUnavailable, match=rf"\(SQLSTATE {sqlstate}\): {says}$") as caught:
            await ask(engine)
    assert not isinstance(caught.value, StorageMisconfigured)


@pytest.mark.parametrize(
    ("sqlstate", "says"),
    [
        ("08P01", "unsupported startup parameter: lock_timeout"),  # as PgBouncer does
        ("42704", 'unrecognized configuration parameter "lock_timeout"'),
        ("22023", 'invalid value for parameter "default_transaction_isolation"'),
        ("0A000", "unsupported frontend protocol 3.0"),
        ("28000", "no pg_hba.conf entry for host"),
    ],
)
async def test_a_server_that_never_begins_a_session_is_quoted_and_no_job_is_to_blame(sqlstate: str, says: str) -> None:
    async with refusing(sqlstate, says) as engine:
        with pytest.raises(
            StorageMisconfigured, match=rf"^PostgreSQL at 127\S+ refuses .*\(SQLSTATE {sqlstate}\): {says}$"
        ):
            await ask(engine)


async def test_a_servers_message_is_one_printable_line_of_bounded_length() -> None:
    async with refusing("57P03", "away \x1b[2J" + "x" * 1000 + "\nsecond line") as engine:
        with pytest.raises(StorageUnavailable) as caught:
            await ask(engine)
    assert str(caught.value).isprintable()
    assert str(caught.value).endswith("x" * 100)
    assert len(str(caught.value)) < 500


@asynccontextmanager
async def refusing(sqlstate: str, says: str) -> AsyncIterator[AsyncEngine]:
    """An engine of a server that answers every session with this error."""

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        fields = f"SFATAL\0VFATAL\0C{sqlstate}\0M{says}\0\0".encode()
        writer.write(b"E" + (len(fields) + 4).to_bytes(4, "big") + fields)
        await writer.drain()
        writer.close()

    async with a_listener(refuse) as url, an_engine(url) as engine:
        yield engine


async def test_a_connection_broken_during_startup() -> None:
    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1024)
        writer.transport.abort()

    async with a_listener(reset) as url, an_engine(url) as engine:
        with pytest.raises(StorageUnavailable):
            await ask(engine)


async def test_encryption_is_demanded_of_a_server_that_has_none(own_postgres: Any) -> None:
    url = own_postgres(tcp=True).url("noteflow")
    async with an_engine(f"{url}{'&' if '?' in url else '?'}sslmode=require") as engine:
        with pytest.raises(StorageUnavailable):
            await ask(engine)


async def test_an_unknown_database_and_an_unknown_role(database_url: str) -> None:
    no_such, nobody = database_url.replace("/test_", "/no_such_"), database_url.replace("postgres@", "nobody_here@")
    for stranger, told in (
        (
            no_such,
            r"^PostgreSQL at \S+/no_such_\w+ refuses us: the database does not exist \(SQLSTATE 3D000\): database \S+",
        ),
        (nobody, r"^PostgreSQL at \S+/test_\w+ refuses us: wrong user or password \(SQLSTATE 28000\): role \S+"),
    ):
        assert stranger != database_url
        async with an_engine(stranger) as engine:
            with pytest.raises(StorageMisconfigured, match=told):
                await ask(engine)


async def test_no_server_at_these_addresses_takes_writes(database_url: str, engine: AsyncEngine) -> None:
    name = database_url.partition("@/")[2].partition("?")[0]
    await ask(engine, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    async with an_engine(f"{database_url}&target_session_attrs=read-write") as elsewhere:
        with pytest.raises(StorageUnavailable, match="takes writes"):
            await ask(elsewhere)


async def test_too_many_connections(database_url: str, engine: AsyncEngine) -> None:
    async with engine.connect() as admin:
        await admin.execute(text("CREATE ROLE crowded LOGIN CONNECTION LIMIT 0"))
        await admin.commit()
        try:
            async with an_engine(database_url.replace("postgres@", "crowded@")) as crowded:
                with pytest.raises(StorageUnavailable, match="53300"):
                    await ask(crowded)
        finally:
            await admin.execute(text("DROP ROLE crowded"))
            await admin.commit()


async def test_the_pool_is_exhausted(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1, pool_timeout_s=0.1) as engine:
        holder = Transaction(engine)
        await holder.run(text("SELECT 1"))
        with pytest.raises(StorageUnavailable, match="came free in time"):
            await ask(engine)
        await holder.rollback()
        await ask(engine)


@pytest.mark.parametrize(("variable", "value"), [("PGPORT", "many"), ("PGTARGETSESSIONATTRS", "master")])
async def test_a_variable_of_libpq_that_cannot_be_is_misconfigured(
    variable: str, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable, value)
    async with an_engine("postgresql://me:s3cret@127.0.0.1/db") as engine:
        with pytest.raises(
            StorageMisconfigured, match=rf"^PostgreSQL at .* cannot be connected to: .*{value}"
        ) as caught:
            await ask(engine)
    assert "s3cret" not in str(caught.value)
