"""The test ground: one real PostgreSQL and one real Redis for each pytest process, and private ones to break."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest
from redis import Redis

from tests.databases import MIGRATED, Databases, SeededPostgres, memory
from tests.small_disk import SmallDiskPostgres, can_mount
from worker.embedded import DISPOSABLE, EmbeddedPostgres, EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

SETTINGS: Mapping[str, str | int] = {
    **DISPOSABLE,
    "max_connections": 200,
    "shared_buffers": "32MB",
    "autovacuum": "off",  # it would hold databases that a test wants to copy
}


class OwnPostgres(Protocol):
    """Starts a PostgreSQL that belongs to one test, with a migrated database: ``server.url("noteflow")``."""

    def __call__(self, *, settings: Mapping[str, str | int] | None = None, tcp: bool = False) -> EmbeddedPostgres: ...


class OwnRedis(Protocol):
    """Starts a Redis that belongs to one test."""

    def __call__(
        self, *, append_only: bool = False, settings: Mapping[str, str | int] | None = None, tcp: bool = False
    ) -> EmbeddedRedis: ...


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """The session's PostgreSQL: to be read, not to be stopped."""
    with EmbeddedPostgres(settings=SETTINGS, within=memory()) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[EmbeddedRedis]:
    """The session's Redis: to be read, not to be stopped."""
    with EmbeddedRedis() as server:
        yield server


@pytest.fixture(scope="session")
def databases(postgres: EmbeddedPostgres) -> Iterator[Databases]:
    """Makes databases on the session's PostgreSQL; the one called ``noteflow`` is migrated and only to be copied."""
    with Databases(postgres) as databases:
        databases.create_migrated()
        yield databases


@pytest.fixture
def database_url(postgres: EmbeddedPostgres, databases: Databases) -> Iterator[str]:
    """A fresh, migrated, empty database."""
    name = databases.create(template=MIGRATED)
    yield postgres.url(name)
    databases.drop(name)


@pytest.fixture
def empty_database_url(postgres: EmbeddedPostgres, databases: Databases) -> Iterator[str]:
    """A fresh database without a table."""
    name = databases.create()
    yield postgres.url(name)
    databases.drop(name)


@pytest.fixture(scope="session")
def redis_admin(redis_server: EmbeddedRedis) -> Iterator[Redis]:
    """A synchronous client of the session's Redis."""
    with Redis.from_url(redis_server.url()) as client:
        yield client


@pytest.fixture
def redis_url(redis_server: EmbeddedRedis, redis_admin: Redis) -> str:
    """A Redis without a key."""
    redis_admin.flushall()
    return redis_server.url()


@pytest.fixture(scope="session")
def seeded_postgres() -> Iterator[EmbeddedPostgres]:
    """A stopped PostgreSQL with a migrated database, whose data the private servers copy."""
    with EmbeddedPostgres(settings=SETTINGS, within=memory()) as server:
        with Databases(server) as databases:
            databases.create_migrated()
        server.stop()
        yield server


@pytest.fixture
def own_postgres(seeded_postgres: EmbeddedPostgres) -> Iterator[OwnPostgres]:
    """A factory of PostgreSQL servers that the test may stop, kill and start again."""
    with ExitStack() as stack:

        def start(*, settings: Mapping[str, str | int] | None = None, tcp: bool = False) -> EmbeddedPostgres:
            return stack.enter_context(
                SeededPostgres(seeded_postgres, settings={**SETTINGS, **(settings or {})}, tcp=tcp)
            )

        yield start


@pytest.fixture
def small_disk(seeded_postgres: EmbeddedPostgres) -> Iterator[SmallDiskPostgres]:
    """A PostgreSQL with a small disk."""
    if not can_mount():
        pytest.skip("a full disk needs user namespaces, which this machine does not allow")
    with SmallDiskPostgres(seeded_postgres, settings=SETTINGS) as server:
        yield server


@pytest.fixture
def own_redis() -> Iterator[OwnRedis]:
    """A factory of Redis servers that the test may stop, kill and start again."""
    with ExitStack() as stack:

        def start(
            *, append_only: bool = False, settings: Mapping[str, str | int] | None = None, tcp: bool = False
        ) -> EmbeddedRedis:
            return stack.enter_context(EmbeddedRedis(append_only=append_only, settings=settings, tcp=tcp))

        yield start
