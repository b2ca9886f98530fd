"""`python -m worker check` names a cure that fits what ails a server, so that nobody starts one that runs."""

from __future__ import annotations

import asyncio
import json
import signal
from typing import TYPE_CHECKING

import asyncpg
import pytest
from typer.testing import CliRunner

from tests.databases import driver_url
from worker.cli import create_app

if TYPE_CHECKING:
    from tests.conftest import OwnPostgres, OwnRedis


def told(database_url: str, redis_url: str) -> dict[str, tuple[str, str]]:
    """What is found and the cure, by subject."""
    shown = CliRunner(env={"DATABASE_URL": database_url, "REDIS_URL": redis_url}).invoke(
        create_app(), ["check", "--json"]
    )
    assert shown.exit_code == 1, shown.output
    return {each["subject"]: (each["found"], each["cure"] or "") for each in json.loads(shown.stdout)}


def run(url: str, statement: str) -> None:
    async def ran() -> None:
        session = await asyncpg.connect(driver_url(url))
        await session.execute(statement)
        await session.close()

    asyncio.run(ran())


def test_a_postgresql_that_refuses_us_is_not_to_be_started(own_postgres: OwnPostgres, redis_url: str) -> None:
    url = own_postgres(tcp=True).url("noteflow")
    password = url.split(":")[2].partition("@")[0]
    found, cure = told(url.replace(password, "wrong"), redis_url)["postgresql"]
    assert ("wrong user or password" in found, cure) == (True, "mend the user or the password in DATABASE_URL")
    _, cure = told(url.replace("/noteflow", "/nothing"), redis_url)["postgresql"]
    assert cure.startswith("create the database")
    run(url, "CREATE ROLE crowded LOGIN CONNECTION LIMIT 0 PASSWORD 'crowded'")
    found, cure = told(url.replace(f"postgres:{password}", "crowded:crowded"), redis_url)["postgresql"]
    assert "too many connections" in found
    assert "max_connections" in cure


@pytest.mark.slow
def test_servers_that_hang_are_not_to_be_started_and_those_that_are_away_are(
    own_postgres: OwnPostgres, own_redis: OwnRedis
) -> None:
    postgres, redis = own_postgres(), own_redis()
    for server in (postgres, redis):
        server.kill(signal.SIGSTOP, children=True)
    try:
        frozen = told(postgres.url("noteflow"), redis.url())
    finally:
        for server in (postgres, redis):
            server.kill(signal.SIGCONT, children=True)
    assert {"hangs" in frozen[name][1] for name in ("postgresql", "redis")} == {True}
    away = told("postgresql://ada@127.0.0.1:1/nothing", "redis://127.0.0.1:1/0")
    assert away["postgresql"][1] == "start it, or mend DATABASE_URL"
    assert away["redis"][1] == "start it, or mend REDIS_URL"
