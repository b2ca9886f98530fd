"""Is the database one that a worker can use: its encoding, its schema, and what the role of DATABASE_URL may do?"""

from __future__ import annotations

from typing import Any, Final

from noteflow.infrastructure.persistence import job_tables
from noteflow.infrastructure.persistence.faults import server_words
from worker.inspection.checks.finding import Finding, error, ok, warning
from worker.inspection.sources import Sources
from worker.migrations import (
    COLUMNS,
    DATABASE,
    complaint_on_encoding,
    complaint_on_schema,
    foreign,
    known_revisions,
    missing_from,
    newest_revision,
)

_MIGRATIONS: Final = "postgresql migrations"
_ADDED_TO: Final = ("batches", "dead_letter_acts", "job_ledger", "meeting_history", "operator_acts")
"""The tables whose rows a worker only reads and adds; of the others it changes and deletes some."""


async def check_database(sources: Sources, pool_size: int) -> list[Finding]:
    """The encoding, the migrations, the privileges, and the limits on connections of a role or a database."""
    row = await sources.first(DATABASE)
    if row is None:
        return [error(_MIGRATIONS, with_words(sources.postgresql_problem or "no answer", sources.postgresql_failure))]
    findings = [_encoding(row), await _migrations(sources, row)]
    findings += await _privileges(sources)
    return findings + await _limits(sources, pool_size)


def with_words(found: str, failure: BaseException | None) -> str:
    """What was found, with the server's own words for it; of a check's statements they quote nothing secret."""
    words = server_words(failure) if failure is not None else None
    return found if words is None or words in found else f"{found}: {words}"


def _encoding(row: Any) -> Finding:
    subject = "postgresql encoding"
    if complaint := complaint_on_encoding(row.encoding, row.name):
        found, _, fix = complaint.partition("; ")
        return error(subject, found, fix)
    return ok(subject, row.encoding)


async def _migrations(sources: Sources, row: Any) -> Finding:
    applied = await sources.rows("SELECT version_num FROM alembic_version") if row.is_versioned else ()
    if applied is None:
        found = with_words(sources.postgresql_problem or "no answer", sources.postgresql_failure)
        sources.postgresql_problem = None
        return error(_MIGRATIONS, found)
    if not applied:
        found, _, grant = ("", "", "") if row.may_create else complaint_on_schema(row).partition("; ")
        told = f"none was ever run{f', and {found}' if found else ''}"
        return error(
            _MIGRATIONS, told, f"{grant}; then: python -m worker migrate" if grant else "python -m worker migrate"
        )
    at = ", ".join(each.version_num for each in applied)
    if at != newest_revision() and at in known_revisions():
        return error(_MIGRATIONS, f"at {at}, this version needs {newest_revision()}", "python -m worker migrate")
    if missing := missing_from({(each.relation, each.attribute) for each in await sources.rows(COLUMNS) or ()}):
        found, _, fix = foreign(repr(at), row.name, missing).partition("; ")
        return error(_MIGRATIONS, found, fix)
    if at == newest_revision():
        return ok(_MIGRATIONS, f"at {at}, the newest")
    return warning(
        _MIGRATIONS, f"at {at}, which this version does not know: a newer one has migrated", "deploy that one"
    )


async def _privileges(sources: Sources) -> list[Finding]:
    """What the role lacks, as the statement that grants it; nothing where there are no tables of ours."""
    names = [table.name for table in job_tables.outbox.metadata.sorted_tables]
    rows = await sources.rows(_PRIVILEGES, tables=names, added_to=list(_ADDED_TO))
    if not rows:
        return []
    lacking = [row for row in rows if not row.granted]
    if not lacking:
        return [ok("postgresql privileges", f"the role {rows[0].role} may do all that a worker does")]
    told = ", ".join(f"{row.privilege} on {row.relation}" for row in lacking[:6])
    more = f" and {len(lacking) - 6} more" if len(lacking) > 6 else ""
    grants = "; ".join(
        f"GRANT {', '.join(row.privilege for row in lacking if row.relation == table)} ON {table} TO {lacking[0].role}"
        for table in dict.fromkeys(row.relation for row in lacking)
    )
    return [error("postgresql privileges", f"the role lacks {told}{more}", f"as the owner of the tables: {grants}")]


async def _limits(sources: Sources, pool_size: int) -> list[Finding]:
    row = await sources.first(_LIMITS)
    if row is None or row.room is None or row.room >= pool_size:
        return []
    told = f"{row.what} {row.name} has room for {row.room} more connections, and a worker opens up to {pool_size}"
    return [warning("postgresql limits", told, "raise its CONNECTION LIMIT, or lower MAX_JOBS or DATABASE_POOL_SIZE")]


_PRIVILEGES: Final = """
    SELECT relname AS relation, privilege, quote_ident(current_user) AS role,
           has_table_privilege(pg_class.oid, privilege) AS granted
    FROM pg_class CROSS JOIN unnest(ARRAY['SELECT', 'INSERT', 'UPDATE', 'DELETE']) AS privilege
    WHERE relkind IN ('r', 'p') AND pg_table_is_visible(pg_class.oid) AND relname = ANY(:tables)
      AND (privilege IN ('SELECT', 'INSERT') OR relname <> ALL(:added_to))
    ORDER BY relname, privilege
"""
_LIMITS: Final = """
    SELECT what, name, most - used AS room FROM (
        SELECT 'the role' AS what, quote_ident(rolname) AS name, rolconnlimit AS most,
               (SELECT count(*) FROM pg_stat_activity WHERE usename = rolname) AS used
        FROM pg_roles WHERE rolname = current_user AND NOT rolsuper
        UNION ALL
        SELECT 'the database', quote_ident(datname), datconnlimit,
               (SELECT count(*) FROM pg_stat_activity AS session WHERE session.datname = pg_database.datname)
        FROM pg_database WHERE datname = current_database()
    ) AS limits WHERE most >= 0 ORDER BY room LIMIT 1
"""
