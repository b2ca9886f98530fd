"""The migrations go up and down and up again, and lead to the tables that the code describes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from noteflow.infrastructure.persistence import job_tables
from worker.migrations import alembic_config

REVISIONS = [script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions()][::-1]
OURS = "relnamespace = 'public'::regnamespace AND relname NOT LIKE 'alembic%%'"
A_DEAD_LETTER = (
    "INSERT INTO dead_letters (job_id, queue, kind, body, reason, errors, tries, crashes, worker, died_at)"
    " VALUES ('j', 'q', 'k', 'said', 'because', '[]', 1, 0, 'w', clock_timestamp()) RETURNING id"
)
Schema = dict[str, set[tuple[Any, ...]]]


async def test_from_empty_to_the_newest_and_back_leaves_nothing_and_up_again_leads_to_the_same(
    empty_database_url: str,
) -> None:
    empty = await schema_of(empty_database_url)
    await alembic(empty_database_url, lambda config: command.upgrade(config, "head"))
    newest = await schema_of(empty_database_url)
    assert {name for (name,) in newest["tables"]} == set(job_tables.outbox.metadata.tables)
    assert newest["functions"]

    await alembic(empty_database_url, lambda config: command.downgrade(config, "base"))
    assert await schema_of(empty_database_url) == empty
    await alembic(empty_database_url, lambda config: command.upgrade(config, "head"))
    assert await schema_of(empty_database_url) == newest


@pytest.mark.parametrize("revision", REVISIONS)
async def test_each_step_is_undone_by_its_own_way_down(revision: str, empty_database_url: str) -> None:
    before = REVISIONS[REVISIONS.index(revision) - 1] if revision != REVISIONS[0] else "base"
    await alembic(empty_database_url, lambda config: command.upgrade(config, before))
    schema = await schema_of(empty_database_url)

    await alembic(empty_database_url, lambda config: command.upgrade(config, revision))
    assert await schema_of(empty_database_url) != schema
    await alembic(empty_database_url, lambda config: command.downgrade(config, before))
    assert await schema_of(empty_database_url) == schema


async def test_the_mark_comes_and_goes_and_what_is_stored_stays(empty_database_url: str) -> None:
    await alembic(empty_database_url, lambda config: command.upgrade(config, "0004"))
    await run(empty_database_url, A_DEAD_LETTER)
    for number in range(2, 4):
        await alembic(empty_database_url, lambda config: command.upgrade(config, "0005"))
        assert await run(empty_database_url, "SELECT counter, pruned_before < now() FROM database_mark") == [(0, True)]
        assert {*await run(empty_database_url, "SELECT payload_removed_at FROM dead_letters")} == {(None,)}
        await run(empty_database_url, A_DEAD_LETTER)  # as a worker of the version before writes it
        await alembic(empty_database_url, lambda config: command.downgrade(config, "0004"))
        assert await run(empty_database_url, "SELECT body FROM dead_letters") == [(b"said",)] * number


async def test_alembic_finds_nothing_to_generate(database_url: str) -> None:
    await alembic(database_url, command.check)


async def test_the_migrated_tables_equal_the_described_ones_to_the_last_constraint(
    database_url: str, empty_database_url: str
) -> None:
    """Alembic's own check does not look at CHECK constraints, nor at the predicate of a partial index."""
    await on(empty_database_url, job_tables.outbox.metadata.create_all)
    migrated, described = await schema_of(database_url), await schema_of(empty_database_url)
    for kind in ("tables", "columns", "constraints", "indexes"):
        assert migrated[kind] == described[kind]


async def alembic(url: str, act: Callable[[Config], object]) -> None:
    """Run one of Alembic's commands on a database."""

    def within(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        act(config)

    await on(url, within)


async def on(url: str, act: Callable[[Connection], None]) -> None:
    engine = create_async_engine(url, poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(act)
            await connection.commit()
    finally:
        await engine.dispose()


async def run(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run a statement, and return what it answers."""
    found: list[tuple[Any, ...]] = []

    def act(connection: Connection) -> None:
        result = connection.exec_driver_sql(statement)
        found.extend(tuple(row) for row in result if result.returns_rows)

    await on(url, act)
    return found


async def schema_of(url: str) -> Schema:
    """All there is in a database of ours, as PostgreSQL itself writes it down."""
    found: Schema = {}

    def read(connection: Connection) -> None:
        found.update({kind: {tuple(row) for row in connection.exec_driver_sql(query)} for kind, query in ASK.items()})

    await on(url, read)
    return found


ASK = {
    "tables": f"SELECT relname FROM pg_class WHERE {OURS} AND relkind = 'r'",
    "others": f"SELECT relname, relkind::text FROM pg_class WHERE {OURS} AND relkind NOT IN ('r', 'i')",
    "columns": f"""
        SELECT relname, attname, format_type(atttypid, atttypmod), attnotnull, attidentity::text,
               pg_get_expr(adbin, adrelid)
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
        WHERE {OURS} AND relkind = 'r' AND attnum > 0 AND NOT attisdropped""",
    "constraints": f"""
        SELECT relname, conname, pg_get_constraintdef(pg_constraint.oid)
        FROM pg_constraint JOIN pg_class ON pg_class.oid = conrelid WHERE {OURS}""",
    "indexes": "SELECT indexname, indexdef FROM pg_indexes"
    " WHERE schemaname = 'public' AND tablename NOT LIKE 'alembic%%'",
    "triggers": f"""
        SELECT pg_get_triggerdef(pg_trigger.oid) FROM pg_trigger JOIN pg_class ON pg_class.oid = tgrelid
        WHERE {OURS} AND NOT tgisinternal""",
    "functions": "SELECT pg_get_functiondef(oid) FROM pg_proc WHERE pronamespace = 'public'::regnamespace",
    "types": "SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace AND typtype IN ('e', 'd')",
}
