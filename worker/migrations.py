"""Bring a database to the schema this version of the code expects."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from noteflow.domain.errors import NoteflowError
from noteflow.infrastructure.persistence import job_tables
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.pooler import refuse_pooler

PROJECT = Path(__file__).resolve().parent.parent
ENCODING: Final = "UTF8"


class MigrationRefused(NoteflowError):
    """The database cannot be brought to the schema that is asked for. The message says why, and what to do."""


class UnknownRevision(MigrationRefused):
    """No migration of this version has the name that is asked for."""


def alembic_config() -> Config:
    """Alembic's settings, from `pyproject.toml`, wherever the caller stands."""
    return Config(toml_file=PROJECT / "pyproject.toml")


def newest_revision() -> str:
    """The revision that the migrations lead to."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def known_revisions() -> frozenset[str]:
    """Every revision that this version of the code has a migration for."""
    return frozenset(_in_order())


async def migrate(database_url: str, revision: str = "head", *, report: Callable[[str], None] = lambda _: None) -> str:
    """Upgrade the database to `revision`, telling `report` what was done; return the revision that it is at then.

    Safe to run at the same time elsewhere. A database at a later revision than this version knows is left as it is, if
    it has all that this version needs. Raises MigrationRefused, Unavailable before it begins, also where a connection
    pooler lies between, and the driver's errors later.
    """
    wanted = newest_revision() if revision == "head" else revision
    if wanted not in known_revisions():
        known = ", ".join(_in_order())
        raise UnknownRevision(f"no migration of this version is called {_shown(revision)}; there are {known}")
    engine = create_engine(
        database_url, pool_size=2, command_timeout_s=3600.0, idle_in_transaction_timeout_s=3600.0,
        application_name="noteflow-migrate",
    )  # fmt: skip
    try:
        await refuse_pooler(engine)  # which could keep the lock of the migrations for ever, in a session of its own
        async with engine.connect() as connection:
            at, is_newer = await _examine(connection, wanted)
        if is_newer:
            report(f"{at} is a revision of a newer version, with all that this version needs: nothing was done")
            return at
        await _with_alembic(engine, lambda config: command.upgrade(config, wanted), report)
        return wanted
    finally:
        await engine.dispose()


async def _examine(connection: AsyncConnection, wanted: str) -> tuple[str, bool]:
    """The revision that the database is at, and whether it is a later one than this version knows."""
    row = (await connection.execute(text(DATABASE))).one()
    if complaint := complaint_on_encoding(row.encoding, row.name):
        raise MigrationRefused(complaint)
    rows = await connection.execute(text("SELECT version_num FROM alembic_version")) if row.is_versioned else ()
    applied = sorted(str(each.version_num) for each in rows)
    at = ", ".join(applied)
    if set(applied) - known_revisions():
        found = {(each.relation, each.attribute) for each in await connection.execute(text(COLUMNS))}
        if missing := missing_from(found):
            raise MigrationRefused(foreign(_shown(at), row.name, missing))
        return at, True
    order = _in_order()
    if applied and order.index(applied[-1]) > order.index(wanted):
        back = f"to go back, first read docs/operating.md, then run: alembic downgrade {wanted}"
        raise MigrationRefused(
            f"the schema is at revision {at}, beyond {wanted}, and this command only goes up; {back}"
        )
    if at != wanted and not row.may_create:
        raise MigrationRefused(complaint_on_schema(row))
    return at, False


def complaint_on_encoding(encoding: str, database: str) -> str | None:
    """Why a database of that encoding cannot hold transcripts, and what to do; None if it can."""
    if encoding == ENCODING:
        return None
    create = f"CREATE DATABASE … ENCODING '{ENCODING}' TEMPLATE template0, and point DATABASE_URL at it"
    return f"the database {database} is encoded in {encoding}, which cannot hold what people say; {create}"


def complaint_on_schema(row: Any) -> str:
    """That the role of DATABASE_URL may not create tables, and the statement that lets it; of a row of `DATABASE`."""
    if row.schema is None:
        return f"the role {row.role} may use no schema of its search_path ({row.search_path}); create one, or grant it"
    grant = f"as the owner of the database: GRANT USAGE, CREATE ON SCHEMA {row.schema} TO {row.role}"
    return f"the role {row.role} may not create tables in schema {row.schema}; {grant}"


def foreign(at: str, database: str, missing: list[str]) -> str:
    """That the revision is of another application, or of a version whose schema lacks what this one needs."""
    told = ", ".join(missing[:3]) + (f" and {len(missing) - 3} more" if len(missing) > 3 else "")
    ways = "give NoteFlow a database of its own, or deploy the version that made this one"
    return f"the database {database} is at revision {at}, which this version does not know, and lacks {told}; {ways}"


def missing_from(found: set[tuple[str, str]]) -> list[str]:
    """The tables and columns this version needs that are not among those `found`."""
    tables = {table for table, _ in found}
    missing = []
    for table in job_tables.outbox.metadata.sorted_tables:
        if table.name not in tables:
            missing.append(f"the table {table.name}")
        else:
            missing += [f"{table.name}.{each.name}" for each in table.columns if (table.name, each.name) not in found]
    return missing


DATABASE: Final = """
    SELECT current_database() AS name, pg_encoding_to_char(encoding) AS encoding, quote_ident(current_user) AS role,
           quote_ident(current_schema()) AS schema, current_setting('search_path') AS search_path,
           coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS may_create,
           to_regclass('alembic_version') IS NOT NULL AS is_versioned
    FROM pg_database WHERE datname = current_database()
"""
COLUMNS: Final = """
    SELECT relname AS relation, attname AS attribute FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    WHERE relkind IN ('r', 'p') AND pg_table_is_visible(pg_class.oid) AND attnum > 0 AND NOT attisdropped
"""
"""The columns of each table that a statement without a schema's name finds."""


async def _with_alembic(engine: AsyncEngine, act: Callable[[Config], None], report: Callable[[str], None]) -> None:
    def on(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        config.attributes["on_version_apply"] = lambda **step: report(_sentence(step["step"]))
        act(config)

    async with engine.connect() as connection:
        await connection.run_sync(on)


def _in_order() -> list[str]:
    """The revisions, oldest first."""
    scripts: Iterable[Any] = ScriptDirectory.from_config(alembic_config()).walk_revisions()
    return [script.revision for script in scripts][::-1]


def _shown(revision: str) -> str:
    return repr(revision if len(revision) <= 60 else f"{revision[:60]}…")


def _sentence(step: Any) -> str:
    direction = "up to" if step.is_upgrade else "down from"
    return f"{direction} {step.up_revision_id}: {step.up_revision.doc}"
