"""A connection pooler that takes our sessions away is recognised, and one that leaves them to us is not blamed."""

from __future__ import annotations

from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from sqlalchemy import text

from noteflow.domain.errors import StorageMisconfigured, StorageUnavailable
from noteflow.infrastructure.persistence.pooler import pooler_doubt, refuse_pooler
from noteflow.infrastructure.persistence.transaction import Transaction
from tests.integration.persistence.faulty import an_engine, ask
from tests.pgbouncer import pgbouncer
from tests.pooler import SETTINGS, Pooler
from tests.proxy import Proxy

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from sqlalchemy.ext.asyncio import AsyncEngine

IGNORED = "extra_float_digits," + ",".join(SETTINGS)
REFUSED = r"as a connection pooler does \(SQLSTATE 08P01\): unsupported startup parameter: \w+$"
OURS = {"lock_timeout_s": 5.0, "idle_in_transaction_timeout_s": 30.0}


@asynccontextmanager
async def through(url: str, **settings: Any) -> AsyncIterator[AsyncEngine]:
    """An engine whose sessions a pooler gives it."""
    async with Pooler(url, **settings) as pooler, an_engine(pooler.url, **OURS) as engine:
        yield engine


async def test_a_direct_connection_is_in_no_doubt(database_url: str) -> None:
    async with an_engine(database_url, pool_size=1) as engine:  # nor is a second connection needed
        assert await pooler_doubt(engine) is None
        await refuse_pooler(engine)


async def test_neither_is_one_through_what_only_forwards(own_postgres: Any) -> None:
    async with Proxy(own_postgres(tcp=True).url("noteflow")) as proxy, an_engine(proxy.url, **OURS) as engine:
        assert await pooler_doubt(engine) is None


async def test_one_that_drops_our_settings_is_named_with_them(database_url: str) -> None:
    async with through(database_url, mode="session") as engine:
        assert "lock_timeout, idle_in_transaction_session_timeout" in (await pooler_doubt(engine) or "")


async def test_one_in_transaction_mode_is_named_also_where_the_settings_are_ours(database_url: str) -> None:
    await with_our_settings(database_url)
    async with through(database_url) as engine:
        assert "transaction pooling" in (await pooler_doubt(engine) or "")


async def test_one_in_session_mode_is_fine_where_the_settings_are_ours(database_url: str) -> None:
    await with_our_settings(database_url)
    async with through(database_url, mode="session") as engine:
        assert await pooler_doubt(engine) is None


async def test_one_that_refuses_our_settings_is_quoted(database_url: str) -> None:
    async with through(database_url, refuses=SETTINGS) as engine:
        with pytest.raises(StorageMisconfigured, match=REFUSED):
            await refuse_pooler(engine)


async def test_the_error_names_the_server_and_what_lies_between(database_url: str) -> None:
    async with through(database_url) as engine:
        with pytest.raises(StorageMisconfigured, match=r"^PostgreSQL at 127\S+ cannot be used: a connection pooler"):
            await refuse_pooler(engine)


async def test_a_prepared_statement_that_is_gone_is_no_bug_and_names_the_pooler(database_url: str) -> None:
    async with Pooler(database_url) as pooler, an_engine(pooler.url) as one, an_engine(pooler.url) as other:
        await ask(one)
        holder = Transaction(other)
        await holder.run(text("SELECT 1"))  # in the session in which the statement was prepared
        with pytest.raises(StorageUnavailable, match=r"as if a connection pooler lay between \(SQLSTATE 26000\)$"):
            await ask(one)
        await holder.rollback()


async def test_pgbouncer_is_recognised_in_each_of_its_modes(own_postgres: Any, tmp_path: Path) -> None:
    url = own_postgres(tcp=True).url("noteflow")
    with pgbouncer(url, tmp_path) as as_it_comes:
        async with an_engine(as_it_comes, **OURS) as engine:
            with pytest.raises(StorageMisconfigured, match=REFUSED):
                await refuse_pooler(engine)
    with pgbouncer(url, tmp_path, pool_mode="session", ignore_startup_parameters=IGNORED) as in_session_mode:
        async with an_engine(in_session_mode, **OURS) as engine:
            assert "drops the settings" in (await pooler_doubt(engine) or "")
    await with_our_settings(url)
    with pgbouncer(url, tmp_path, pool_mode="session", ignore_startup_parameters=IGNORED) as in_session_mode:
        async with an_engine(in_session_mode, **OURS) as engine:
            assert await pooler_doubt(engine) is None
    with pgbouncer(url, tmp_path, pool_mode="transaction", ignore_startup_parameters=IGNORED) as in_transaction_mode:
        async with an_engine(in_transaction_mode, **OURS) as engine:
            assert "transaction pooling" in (await pooler_doubt(engine) or "")


async def with_our_settings(url: str) -> None:
    """As an administrator sets them who knows that the pooler drops them."""
    async with an_engine(url) as engine:
        name = engine.url.database
        for setting in ("lock_timeout = '5s'", "idle_in_transaction_session_timeout = '30s'"):
            await ask(engine, f"ALTER DATABASE {name} SET {setting}")
        await ask(engine, f"ALTER DATABASE {name} SET default_transaction_isolation = 'read committed'")
