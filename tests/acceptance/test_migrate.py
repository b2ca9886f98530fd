"""`migrate`, and `check` beside it, meet databases that they cannot use: a sentence each, with what to do."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import asyncpg
import pytest
from typer.testing import CliRunner, Result

from tests.databases import driver_url
from worker.cli import create_app
from worker.migrations import newest_revision

if TYPE_CHECKING:
    from tests.databases import Databases
    from worker.embedded import EmbeddedPostgres


def run(database_url: str, redis_url: str, *arguments: str) -> Result:
    told = {"DATABASE_URL": database_url, "REDIS_URL": redis_url}
    return CliRunner(env=told).invoke(create_app(), arguments, catch_exceptions=False)


def migrated(database_url: str, *arguments: str) -> tuple[int, str]:
    """The exit code, and the one line that it ends with."""
    answer = run(database_url, "redis://127.0.0.1:1", "migrate", *arguments)
    return answer.exit_code, answer.output.splitlines()[-1]


def checked(database_url: str, redis_url: str) -> dict[str, tuple[str, str, str]]:
    """The verdict, what is found and the fix, by subject."""
    answer = run(database_url, redis_url, "check", "--json")
    return {each["subject"]: (each["verdict"], each["found"], each["cure"] or "") for each in json.loads(answer.stdout)}


def execute(url: str, *statements: str) -> None:
    async def executed() -> None:
        session = await asyncpg.connect(driver_url(url))
        for statement in statements:
            await session.execute(statement)
        await session.close()

    asyncio.run(executed())


def at_revision(url: str, revision: str) -> None:
    execute(url, "CREATE TABLE IF NOT EXISTS alembic_version (version_num varchar(32) PRIMARY KEY)",
            "DELETE FROM alembic_version", f"INSERT INTO alembic_version VALUES ('{revision}')")  # fmt: skip


def test_a_database_that_another_application_migrates_is_named_with_its_revision(
    empty_database_url: str, redis_url: str
) -> None:
    at_revision(empty_database_url, "bc804d8e7a18")
    code, said = migrated(empty_database_url)
    assert code == 1
    assert said.startswith("migrate: the database test_")
    assert "is at revision 'bc804d8e7a18', which this version does not know, and lacks the table" in said
    verdict, found, fix = checked(empty_database_url, redis_url)["postgresql migrations"]
    assert (verdict, "bc804d8e7a18" in found, "lacks the table" in found) == ("error", True, True)
    assert "a database of its own" in fix


def test_older_code_leaves_a_newer_schema_as_it_is_and_goes_on(database_url: str, redis_url: str) -> None:
    at_revision(database_url, "9999")
    execute(database_url, "ALTER TABLE outbox ADD COLUMN of_a_newer_version integer")
    answer = run(database_url, redis_url, "migrate")
    assert answer.exit_code == 0
    assert answer.output.splitlines() == [
        "9999 is a revision of a newer version, with all that this version needs: nothing was done",
        "the schema is at revision 9999",
    ]
    assert checked(database_url, redis_url)["postgresql migrations"][0] == "warning"


def test_older_code_refuses_a_newer_schema_that_lacks_what_it_needs(database_url: str, redis_url: str) -> None:
    at_revision(database_url, "9999")
    execute(database_url, "ALTER TABLE outbox DROP COLUMN parked_at")
    code, said = migrated(database_url)
    assert (code, "lacks outbox.parked_at;" in said) == (1, True), said
    assert "outbox.parked_at" in checked(database_url, redis_url)["postgresql migrations"][1]


@pytest.mark.parametrize("revision", ["9999", "nonsense", "heads@x", "+9", "-1", "", "\udcff", "x" * 10_000, "%00"])
def test_a_revision_that_is_none_is_refused_before_anything_connects(revision: str) -> None:
    code, said = migrated("postgresql://127.0.0.1:1/db", "--", revision)
    assert (code, said.startswith("migrate: no migration of this version is called ")) == (2, True)
    assert len(said) < 250


def test_to_an_older_revision_the_way_is_named(database_url: str) -> None:
    code, said = migrated(database_url, "0001")
    assert code == 1
    assert said.endswith("alembic downgrade 0001")
    assert f"at revision {newest_revision()}, beyond 0001" in said


@pytest.fixture
def latin_url(postgres: EmbeddedPostgres, databases: Databases) -> Iterator[str]:
    """A database that is not encoded in UTF-8."""
    execute(postgres.url(), "CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
    yield postgres.url("latin")
    execute(postgres.url(), "DROP DATABASE latin WITH (FORCE)")


def test_a_database_that_is_not_utf_8_is_refused(latin_url: str, redis_url: str) -> None:
    code, said = migrated(latin_url)
    assert code == 1
    assert said.startswith("migrate: the database latin is encoded in LATIN1, which cannot hold what people say")
    assert "ENCODING 'UTF8'" in said
    verdict, found, fix = checked(latin_url, redis_url)["postgresql encoding"]
    assert (verdict, "LATIN1" in found, "ENCODING 'UTF8'" in fix) == ("error", True, True)


@pytest.fixture
def app_url(empty_database_url: str) -> Iterator[str]:
    """An empty database, as a role sees it that owns nothing there."""
    execute(empty_database_url, 'CREATE ROLE "an-app" LOGIN')
    yield empty_database_url.replace("postgres@", "an-app@")
    execute(empty_database_url, 'DROP OWNED BY "an-app"', 'DROP ROLE "an-app"')


def test_a_role_that_may_not_create_tables_is_told_the_grant_that_lets_it(
    app_url: str, empty_database_url: str, redis_url: str
) -> None:
    code, said = migrated(app_url)
    assert code == 1
    assert said.startswith('migrate: the role "an-app" may not create tables in schema public; ')
    grant = said.partition(": GRANT ")[2]
    assert 'GRANT USAGE, CREATE ON SCHEMA public TO "an-app"' in checked(app_url, redis_url)["postgresql migrations"][2]
    execute(empty_database_url, f"GRANT {grant}")
    assert migrated(app_url) == (0, f"the schema is at revision {newest_revision()}")
    assert checked(app_url, redis_url)["postgresql privileges"][0] == "ok"


def test_what_the_role_may_not_do_with_a_table_is_an_error_of_check(
    database_url: str, app_url: str, redis_url: str
) -> None:
    mine = database_url.replace("postgres@", "an-app@")
    execute(database_url, 'GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA public TO "an-app"')
    try:
        verdict, found, fix = checked(mine, redis_url)["postgresql privileges"]
        assert (verdict, found.startswith("the role lacks ")) == ("error", True)
        assert fix.startswith("as the owner of the tables: GRANT ")
        assert "GRANT DELETE, UPDATE ON outbox TO " in fix
        execute(database_url, fix.partition(": ")[2])
        assert checked(mine, redis_url)["postgresql privileges"][0] == "ok"
    finally:
        execute(database_url, 'DROP OWNED BY "an-app"')


def test_the_servers_own_words_are_shown(empty_database_url: str, redis_url: str) -> None:
    execute(empty_database_url, "CREATE TABLE meetings (wrong integer)")
    code, said = migrated(empty_database_url)
    assert (code, 'relation "meetings" already exists' in said) == (1, True), said
    options = f"{empty_database_url}&options=-c%20no_such_setting%3D1"
    assert 'unrecognized configuration parameter "no_such_setting"' in migrated(options)[1]
    assert 'unrecognized configuration parameter "no_such_setting"' in checked(options, redis_url)["postgresql"][1]
