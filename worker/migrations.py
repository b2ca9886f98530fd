"""Bring a database to the schema this version of the code expects."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.pooler import refuse_pooler

PROJECT = Path(__file__).resolve().parent.parent


def alembic_config() -> Config:
    """Alembic's settings, from `pyproject.toml`, wherever the caller stands."""
    return Config(toml_file=PROJECT / "pyproject.toml")


def newest_revision() -> str:
    """The revision that the migrations lead to."""
    return str(ScriptDirectory.from_config(alembic_config()).get_current_head())


def known_revisions() -> frozenset[str]:
    """Every revision that this version of the code has a migration for."""
    return frozenset(script.revision for script in ScriptDirectory.from_config(alembic_config()).walk_revisions())


async def migrate(database_url: str, revision: str = "head", *, report: Callable[[str], None] = lambda _: None) -> None:
    """Upgrade the database to `revision`, telling `report` what was done. Safe to run at the same time elsewhere.

    Raises Unavailable before it begins, also where a connection pooler lies between, and the driver's errors later.
    """
    engine = create_engine(
        database_url, pool_size=2, command_timeout_s=3600.0, idle_in_transaction_timeout_s=3600.0,
        application_name="noteflow-migrate",
    )  # fmt: skip
    try:
        await refuse_pooler(engine)  # which could keep the lock of the migrations for ever, in a session of its own
        await _with_alembic(engine, lambda config: command.upgrade(config, revision), report)
    finally:
        await engine.dispose()


async def _with_alembic(engine: AsyncEngine, act: Callable[[Config], None], report: Callable[[str], None]) -> None:
    def on(connection: Connection) -> None:
        config = alembic_config()
        config.attributes["connection"] = connection
        config.attributes["on_version_apply"] = lambda **step: report(_sentence(step["step"]))
        act(config)

    async with engine.connect() as connection:
        await connection.run_sync(on)


def _sentence(step: Any) -> str:
    direction = "up to" if step.is_upgrade else "down from"
    return f"{direction} {step.up_revision_id}: {step.up_revision.doc}"
