"""`python -m worker check` says what is wrong, a line each, and ends with 1 if something is."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from redis import Redis
from typer.testing import CliRunner, Result

from noteflow.domain.commands import IngestSegments
from noteflow.domain.entities import Segment
from noteflow.domain.value_objects import MeetingId
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.judge import Judge
from tests.databases import migrate
from worker.cli import create_app
from worker.inspection.checks.finding import Verdict

if TYPE_CHECKING:
    from tests.conftest import OwnPostgres, OwnRedis

SOUND = {"redis eviction", "redis write", "postgresql migrations", "postgresql write", "budgets", "clock of redis"}


def check(monkeypatch: pytest.MonkeyPatch, *arguments: str, **environment: str) -> Result:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    return CliRunner().invoke(create_app(), ["check", *arguments])


def findings(result: Result) -> dict[str, dict[str, Any]]:
    return {finding["subject"]: finding for finding in json.loads(result.stdout)}


def test_a_sound_installation_ends_with_0(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> None:
    result = check(monkeypatch, "--json", DATABASE_URL=database_url, REDIS_URL=redis_url)
    assert result.exit_code == 0, result.output
    found = findings(result)
    assert {found[subject]["verdict"] for subject in SOUND} == {Verdict.OK}
    assert found["workers"]["verdict"] == Verdict.WARNING


def test_each_finding_is_a_line_for_eyes(monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str) -> None:
    result = check(monkeypatch, DATABASE_URL=database_url, REDIS_URL=redis_url)
    lines = result.stdout.splitlines()
    assert any(line.startswith("ok") and "noeviction" in line for line in lines)
    assert lines[-1].endswith("0 error")
    assert "\x1b" not in result.stdout


def test_servers_that_are_away_are_errors_and_no_password_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    result = check(
        monkeypatch,
        "--json",
        DATABASE_URL="postgresql://ada:hunter2@127.0.0.1:1/noteflow",
        REDIS_URL="redis://:hunter2@127.0.0.1:1/0",
    )
    assert result.exit_code == 1
    found = findings(result)
    assert {found[subject]["verdict"] for subject in ("redis", "postgresql")} == {Verdict.ERROR}
    assert found["redis"]["found"].startswith("Redis at 127.0.0.1:1/0 does not answer")
    assert found["postgresql"]["found"].startswith("PostgreSQL at 127.0.0.1:1/noteflow cannot be reached")
    assert "hunter2" not in result.output


def test_servers_that_want_another_password_are_told_so_and_not_to_be_started(
    monkeypatch: pytest.MonkeyPatch, own_postgres: OwnPostgres, own_redis: OwnRedis
) -> None:
    redis, postgres = own_redis(tcp=True), own_postgres(tcp=True)
    told = {
        "REDIS_URL": f"redis://:hunter2@127.0.0.1:{redis.port}/0",
        "DATABASE_URL": f"postgresql://postgres:hunter2@127.0.0.1:{postgres.port}/noteflow",
    }
    found = findings(check(monkeypatch, "--json", **told))
    assert (found["redis"]["found"], found["redis"]["cure"]) == (
        f"Redis at 127.0.0.1:{redis.port}/0 wants another user or password",
        "mend the user or the password in REDIS_URL",
    )
    assert "refuses us: wrong user or password" in found["postgresql"]["found"]
    assert found["postgresql"]["cure"] == "mend the user or the password in DATABASE_URL"

    jobs = CliRunner().invoke(create_app(), ["jobs", "stats"])
    assert jobs.stderr.startswith(f"jobs: {found['redis']['found']}\n")


def test_a_database_that_does_not_exist_is_to_be_created(
    monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
) -> None:
    missing = database_url.replace("/test_", "/no_such_")
    found = findings(check(monkeypatch, "--json", DATABASE_URL=missing, REDIS_URL=redis_url))["postgresql"]
    assert "the database does not exist" in found["found"]
    assert found["cure"] == "create the database, or mend its name in DATABASE_URL"


def test_settings_that_let_postgresql_lose_commits_are_warned_of_by_name(
    monkeypatch: pytest.MonkeyPatch, own_postgres: OwnPostgres, redis_url: str
) -> None:
    for settings, verdict in (
        ({"fsync": "on", "full_page_writes": "on", "synchronous_commit": "local"}, Verdict.OK),
        ({"fsync": "on", "full_page_writes": "on", "synchronous_commit": "off"}, Verdict.WARNING),
        ({"fsync": "off", "full_page_writes": "off"}, Verdict.WARNING),
    ):
        server = own_postgres(settings=settings)
        result = check(monkeypatch, "--json", DATABASE_URL=server.url("noteflow"), REDIS_URL=redis_url)
        assert result.exit_code == 0
        found = findings(result)["postgresql durability"]
        assert found["verdict"] == verdict
        off = [name for name, value in settings.items() if value == "off"]
        assert [name for name in settings if f"{name} is off" in found["found"]] == off
        assert verdict is Verdict.OK or found["cure"].endswith("to on")


def test_dead_letters_that_lost_their_payload_are_an_error(
    monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
) -> None:
    told = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    assert findings(check(monkeypatch, "--json", **told))["dead letters"]["found"].startswith("0 unhandled ones; 0 pay")
    letter = (
        "INSERT INTO dead_letters (job_id, queue, kind, reason, errors, tries, crashes, worker, died_at,"
        " payload_removed_at) VALUES ('j', 'q', 'k', 'r', '[]', 1, 0, 'w', now(), now())"
    )
    asyncio.run(Judge(database_url).ask(letter))
    kept = findings(check(monkeypatch, "--json", **told))["dead letters"]["found"]
    assert kept.startswith("1 unhandled one; 0 pay")  # its payload was too long, and never kept
    asyncio.run(Judge(database_url).ask("UPDATE dead_letters SET payload_removed_at = clock_timestamp()"))
    result = check(monkeypatch, "--json", **told)
    assert result.exit_code == 1
    assert findings(result)["dead letters"]["found"].startswith("1 unhandled dead letter lost the payload")


def test_a_redis_that_evicts_is_an_error(
    monkeypatch: pytest.MonkeyPatch, database_url: str, own_redis: OwnRedis
) -> None:
    server = own_redis(settings={"maxmemory": "64mb", "maxmemory-policy": "allkeys-lru"})
    result = check(monkeypatch, "--json", DATABASE_URL=database_url, REDIS_URL=server.url())
    assert result.exit_code == 1
    assert findings(result)["redis eviction"]["found"] == "allkeys-lru"


def test_a_redis_without_room_is_an_error(
    monkeypatch: pytest.MonkeyPatch, database_url: str, own_redis: OwnRedis
) -> None:
    server = own_redis(settings={"maxmemory": "1mb"})
    found = findings(check(monkeypatch, "--json", DATABASE_URL=database_url, REDIS_URL=server.url()))
    assert {found[subject]["verdict"] for subject in ("redis memory", "redis write")} == {Verdict.ERROR}
    assert "used memory > 'maxmemory'" in found["redis write"]["found"]


def test_a_database_that_was_never_migrated_is_an_error_that_names_the_cure(
    monkeypatch: pytest.MonkeyPatch, empty_database_url: str, redis_url: str
) -> None:
    result = check(monkeypatch, "--json", DATABASE_URL=empty_database_url, REDIS_URL=redis_url)
    assert result.exit_code == 1
    assert findings(result)["postgresql migrations"]["cure"] == "python -m worker migrate"


def test_a_database_at_an_older_migration_is_an_error(
    monkeypatch: pytest.MonkeyPatch, empty_database_url: str, redis_url: str
) -> None:
    asyncio.run(migrate(empty_database_url, "0001"))
    result = check(monkeypatch, "--json", DATABASE_URL=empty_database_url, REDIS_URL=redis_url)
    assert "at 0001, this version needs" in findings(result)["postgresql migrations"]["found"]


def test_budgets_that_contradict_each_other_are_errors_beside_the_rest(
    monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
) -> None:
    told = {"DATABASE_URL": database_url, "REDIS_URL": redis_url, "JOB_TIMEOUT_S": "5"}
    result = check(monkeypatch, "--json", **told)
    assert result.exit_code == 1
    found = findings(result)
    assert "JOB_TIMEOUT_S" in found["budgets"]["found"]
    assert found["redis write"]["verdict"] == Verdict.OK


def test_settings_that_cannot_be_read_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    result = check(monkeypatch, "--json", MAX_JOBS="many")
    assert result.exit_code == 1
    assert "MAX_JOBS" in findings(result)["settings"]["found"]


def test_a_read_only_replica_is_an_error(
    monkeypatch: pytest.MonkeyPatch, database_url: str, own_redis: OwnRedis
) -> None:
    primary, replica = own_redis(tcp=True), own_redis()
    with Redis.from_url(replica.url()) as client:
        client.config_set("masterauth", primary.url().split(":")[2].split("@")[0])
        client.replicaof("127.0.0.1", str(primary.port))
    found = findings(check(monkeypatch, "--json", DATABASE_URL=database_url, REDIS_URL=replica.url()))
    assert found["redis role"]["verdict"] == Verdict.ERROR
    assert "write against a read only replica" in found["redis write"]["found"]


def test_compat_names_the_waiting_jobs_that_this_version_would_refuse(
    monkeypatch: pytest.MonkeyPatch, database_url: str, redis_url: str
) -> None:
    words = asyncio.run(_enqueue(redis_url))
    sound = check(monkeypatch, "--json", "--compat", DATABASE_URL=database_url, REDIS_URL=redis_url)
    assert findings(sound)["payloads"]["found"] == "all 3 of the sample can be done by this version"
    with Redis.from_url(redis_url) as client:
        client.set("arq:job:newer", b'{"t":null,"f":"ingest_segments","a":[],"k":{"_version":2},"et":1}')
        client.zadd("arq:queue", {"newer": 1})
    refused = check(monkeypatch, "--json", "--compat", DATABASE_URL=database_url, REDIS_URL=redis_url)
    assert refused.exit_code == 1
    told = findings(refused)["payloads"]["found"]
    assert "1 of 4 would be refused, the first is newer" in told
    assert "_version" in told
    assert words not in told


async def _enqueue(redis_url: str) -> str:
    meeting = MeetingId(uuid4())
    commands = [IngestSegments(meeting, (Segment(meeting, number, "hidden", 0.0, 1.0),)) for number in range(3)]
    async with JobClient.from_url(redis_url) as client:
        await client.enqueue_many(commands)
    return "hidden"
