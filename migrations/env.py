"""Runs the migrations over one asyncpg connection, or writes them down as SQL (`alembic upgrade head --sql`).

The database is the caller's (`config.attributes["connection"]`, a synchronous face of an async connection), or
DATABASE_URL.
"""

from __future__ import annotations

import asyncio
import os

from alembic import context
from sqlalchemy import Connection

from noteflow.domain.errors import InvalidValue
from noteflow.infrastructure.persistence import job_tables
from noteflow.infrastructure.persistence.engine import create_engine


def run() -> None:
    given = context.config.attributes.get("connection")
    if given is not None:
        _run_on(given)
    elif context.is_offline_mode():
        context.configure(dialect_name="postgresql", target_metadata=job_tables.outbox.metadata, literal_binds=True)
        with context.begin_transaction():
            context.run_migrations()
    else:
        asyncio.run(_run_on_database_url())


async def _run_on_database_url() -> None:
    url = os.environ.get("DATABASE_URL")
    if not url:
        raise SystemExit("DATABASE_URL is not set: it names the database to migrate")
    try:
        engine = create_engine(
            url, pool_size=1, command_timeout_s=3600.0, idle_in_transaction_timeout_s=3600.0,
            application_name="noteflow-migrate",
        )  # fmt: skip
    except InvalidValue as refusal:
        raise SystemExit(str(refusal)) from None
    try:
        async with engine.connect() as connection:
            await connection.run_sync(_run_on)
    finally:
        await engine.dispose()


def _run_on(connection: Connection) -> None:
    told = context.config.attributes.get("on_version_apply")
    context.configure(
        connection=connection,
        target_metadata=job_tables.outbox.metadata,
        on_version_apply=told,
        transaction_per_migration=True,
    )
    # Several releases may start at once; the second waits here and finds nothing left to do. The lock is the session's,
    # and ends with it at the latest, because each migration ends its transaction.
    connection.exec_driver_sql("SELECT pg_advisory_lock(5018275)")
    connection.commit()
    with context.begin_transaction():
        context.run_migrations()
    connection.commit()
    connection.exec_driver_sql("SELECT pg_advisory_unlock(5018275)")
    connection.commit()


run()
