"""Databases for tests: migrated once, copied for each test; in memory, where there is enough of it.

A database is some 300 files: on an ordinary disk to copy and delete them takes the kernel 140 ms, in memory 20.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Self

import asyncpg
from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, pool
from sqlalchemy.ext.asyncio import create_async_engine

from worker.embedded import EmbeddedPostgres

if TYPE_CHECKING:
    from collections.abc import Mapping

    from worker.embedded.binaries import Binary

PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"
MIGRATED = "noteflow"
ENOUGH_BYTES = 4 << 30


class Databases:
    """Makes and drops databases on one server, over one connection and a loop of its own."""

    def __init__(self, server: EmbeddedPostgres) -> None:
        self._server = server
        self._runner = asyncio.Runner(loop_factory=asyncio.new_event_loop)
        self._made = 0

    def __enter__(self) -> Self:
        self._runner.__enter__()
        self._connection = self._runner.run(asyncpg.connect(driver_url(self._server.url())))
        return self

    def __exit__(self, *_: object) -> None:
        self._runner.run(self._connection.close())
        self._runner.close()

    def create(self, template: str = "template1") -> str:
        """Return the name of a new database, a copy of the template, to which nobody may be connected."""
        self._made += 1
        name = f"test_{self._made}"
        # Copying files is ten times as fast as writing them through the log; PostgreSQL 14 knows no other way.
        strategy = "STRATEGY FILE_COPY" if self._connection.get_server_version().major >= 15 else ""
        self._run(f"CREATE DATABASE {name} TEMPLATE {template} {strategy}")
        return name

    def create_migrated(self, name: str = MIGRATED) -> None:
        """Create a database at the newest migration."""
        self._run(f"CREATE DATABASE {name}")
        self._runner.run(migrate(self._server.url(name)))

    def drop(self, name: str) -> None:
        """Drop a database, also when somebody is still connected."""
        self._run(f"DROP DATABASE {name} WITH (FORCE)")

    def _run(self, statement: str) -> None:
        self._runner.run(self._connection.execute(statement))


class SeededPostgres(EmbeddedPostgres):
    """A server whose data is a copy of a stopped one's, which saves initdb and the migrations."""

    def __init__(self, seed: EmbeddedPostgres, *, settings: Mapping[str, str | int], tcp: bool = False) -> None:
        super().__init__(settings=settings, tcp=tcp, within=memory())
        self._seed = seed
        self._password = seed._password

    def _prepare(self, binary: Binary) -> Path:
        shutil.copytree(self._seed.home / "data", self.home / "data")
        self._identity.give(self.home)
        return self._seed._executable


def memory() -> Path | None:
    """Return a directory in memory where a server may keep its data, None if there is none with enough room."""
    directory = Path("/dev/shm")
    with suppress(OSError):
        if os.access(directory, os.W_OK) and shutil.disk_usage(directory).free >= ENOUGH_BYTES:
            return directory
    return None


async def migrate(url: str, revision: str = "head") -> None:
    """Bring a database to a revision, as `alembic upgrade` does."""

    def upgrade(connection: Connection) -> None:
        config = Config(toml_file=PYPROJECT)
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    engine = create_async_engine(url, poolclass=pool.NullPool)
    try:
        async with engine.connect() as connection:
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


def driver_url(url: str) -> str:
    """Return the URL as asyncpg itself understands it."""
    return url.replace("postgresql+asyncpg://", "postgresql://", 1)
