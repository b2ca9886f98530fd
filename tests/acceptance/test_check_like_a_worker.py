"""`check` is not green where a worker fails: what else a worker needs of its servers and its machine is tried."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg
import pytest
from redis import Redis
from typer.testing import CliRunner

from tests.acceptance.manager import ROOT, environment
from tests.databases import driver_url
from worker.cli import create_app

if TYPE_CHECKING:
    from tests.conftest import OwnRedis
    from worker.embedded import EmbeddedRedis

ENGINE = ROOT / "docs/engine.md"


def check(database_url: str, redis_url: str, **settings: str) -> dict[str, dict[str, str]]:
    """The findings, by subject."""
    told = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, **settings}
    answer = CliRunner(env=told).invoke(create_app(), ["check", "--json"], catch_exceptions=False)
    return {finding["subject"]: finding for finding in json.loads(answer.stdout)}


@pytest.fixture
def guarded(own_redis: OwnRedis) -> EmbeddedRedis:
    """A server with the user that docs/engine.md describes."""
    server = own_redis(tcp=True)
    (rights,) = [line for line in ENGINE.read_text().splitlines() if line.startswith("ACL SETUSER jobs ")]
    with Redis.from_url(server.url()) as admin:
        admin.execute_command(*rights.split())
    return server


def as_jobs(server: EmbeddedRedis, *rights: str) -> str:
    with Redis.from_url(server.url()) as admin:
        admin.execute_command("ACL", "SETUSER", "jobs", *rights)
    return f"redis://jobs:password@127.0.0.1:{server.port}/0"


def test_the_rights_that_the_page_names_are_enough_for_check(guarded: EmbeddedRedis, database_url: str) -> None:
    found = check(database_url, as_jobs(guarded))
    redis = {subject: each["verdict"] for subject, each in found.items() if subject.startswith("redis")}
    assert redis.pop("redis persistence") == "warning"
    assert set(redis.values()) <= {"ok", "warning"}, found
    assert {redis[f"redis {each}"] for each in ("queue", "scripts", "wake-ups", "write")} == {"ok"}


@pytest.mark.parametrize(
    ("rights", "subject", "verdict", "words"),
    [
        (["-@scripting"], "redis scripts", "error", "no permissions to run"),
        (["-zadd"], "redis scripts", "error", "zadd"),
        (["resetkeys", "~arq:queue", "~arq:check:*", "~arq:worker*", "~arq:outbox*"], "redis scripts", "error", "key"),
        (["-client|tracking"], "redis wake-ups", "warning", "workers poll"),
        (["-info"], "redis", "error", "no permissions to run the 'info' command"),
        (["-type"], "redis queue", "error", "no permissions to run the 'type' command"),
    ],
)
def test_a_right_that_a_worker_lacks_is_named(
    rights: list[str], subject: str, verdict: str, words: str, guarded: EmbeddedRedis, database_url: str
) -> None:
    found = check(database_url, as_jobs(guarded, *rights))[subject]
    assert (found["verdict"], words in found["found"]) == (verdict, True), found


def test_a_queue_that_is_none_is_an_error(database_url: str, redis_url: str) -> None:
    with Redis.from_url(redis_url) as client:
        client.set("no-queue", 1)
    found = check(database_url, redis_url, QUEUE_NAME="no-queue")["redis queue"]
    assert (found["verdict"], "holds a string" in found["found"]) == ("error", True)
    assert check(database_url, redis_url, QUEUE_NAME="other")["redis queue"]["verdict"] == "ok"


def test_nothing_of_a_check_stays_in_redis(database_url: str, redis_url: str) -> None:
    check(database_url, redis_url)
    with Redis.from_url(redis_url) as client:
        assert client.keys() == []


@pytest.fixture
def crowded_url(database_url: str) -> Iterator[str]:
    """The database, by a role that may have few connections."""
    execute(database_url, "CREATE ROLE crowded LOGIN CONNECTION LIMIT 4")
    yield database_url.replace("postgres@", "crowded@")
    execute(database_url, "DROP ROLE crowded")


def execute(url: str, statement: str) -> None:
    async def executed() -> None:
        session = await asyncpg.connect(driver_url(url))
        await session.execute(statement)
        await session.close()

    asyncio.run(executed())


def test_a_role_with_fewer_connections_than_a_worker_opens_is_warned_of(crowded_url: str, redis_url: str) -> None:
    found = check(crowded_url, redis_url, MAX_JOBS="5")["postgresql limits"]
    assert "the role crowded has room for 3 more connections, and a worker opens up to 8" in found["found"]
    assert "postgresql limits" not in check(crowded_url, redis_url, DATABASE_POOL_SIZE="3")


@pytest.mark.parametrize("setting", ["DATABASE_CONNECT_TIMEOUT_S", "DATABASE_COMMAND_TIMEOUT_S"])
def test_a_time_limit_that_is_too_short_for_a_worker_is_too_short_for_check(
    setting: str, database_url: str, redis_url: str
) -> None:
    found = check(database_url, redis_url, **{setting: "0.001", "DATABASE_LOCK_TIMEOUT_S": "0.001"})
    assert "error" in {each["verdict"] for subject, each in found.items() if subject.startswith("postgresql")}


def test_a_place_that_cannot_be_listened_at_is_an_error_and_a_taken_one_a_warning(
    database_url: str, redis_url: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        found = check(database_url, redis_url, HTTP_LISTEN=f"127.0.0.1:{port}")["http pages"]
        assert (found["verdict"], "is taken" in found["found"]) == ("warning", True)
    assert check(database_url, redis_url, HTTP_LISTEN=f"127.0.0.1:{port}")["http pages"]["verdict"] == "ok"
    for nowhere in ("192.0.2.1:8080", "no-such-host.invalid:8080"):
        found = check(database_url, redis_url, HTTP_LISTEN=nowhere)["http pages"]
        assert (found["verdict"], "cannot be listened at" in found["found"]) == ("error", True)


def test_traces_without_opentelemetry_are_an_error(database_url: str, redis_url: str, tmp_path: Path) -> None:
    """In a process whose `opentelemetry` has no exporter, as after an installation without the extra."""
    hidden = tmp_path / "opentelemetry"
    hidden.mkdir()
    (hidden / "__init__.py").touch()
    told = environment(
        database_url, redis_url, TRACES_ENDPOINT="http://127.0.0.1:1/v1/traces", PYTHONPATH=str(tmp_path)
    )
    answer = subprocess.run(
        [sys.executable, "-m", "worker", "check", "--json"], cwd=ROOT, env=told, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    (found,) = [each for each in json.loads(answer.stdout) if each["subject"] == "traces"]
    assert (answer.returncode, found["verdict"]) == (1, "error"), answer.stderr
    assert "no worker starts" in found["found"]
