"""Both servers for as long as a block runs: the caller's, else the machine's, else those inside wheels."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from worker.embedded.errors import ServerEnded
from worker.embedded.postgres import EmbeddedPostgres
from worker.embedded.redis import EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from worker.embedded.binaries import Places
    from worker.embedded.server import EmbeddedServer


@dataclass(frozen=True, slots=True)
class Servers:
    """Where PostgreSQL and Redis are, and for people which ones they are."""

    database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    database: str
    redis: str
    started: tuple[EmbeddedServer, ...] = field(default=(), repr=False)

    def check(self, longest_s: float = 0.0) -> None:
        """Raise ServerEnded if one of those that were started is gone, or goes within `longest_s`."""
        deadline = time.monotonic() + longest_s
        while True:
            for server in self.started:
                if not server.running:
                    raise ServerEnded(server.description, server.log)
            if time.monotonic() >= deadline:
                return
            time.sleep(0.02)


@contextmanager
def servers(
    *,
    database_url: str | None = None,
    redis_url: str | None = None,
    postgres_settings: Mapping[str, str | int] | None = None,
    redis_settings: Mapping[str, str | int] | None = None,
    places: Places | None = None,
) -> Iterator[Servers]:
    """Yield two servers that answer; those whose URL is not given are started, and are gone after the block.

    The settings are for the started ones. A started Redis appends every change to a file once a second, as
    a real one would. BinaryMissing or StartFailed say what to do when a server cannot be had.
    """
    database = redis = "given by its URL"
    started: list[EmbeddedServer] = []
    with ExitStack() as stack:
        if redis_url is None:
            own_redis = stack.enter_context(EmbeddedRedis(append_only=True, settings=redis_settings, places=places))
            started.append(own_redis)
            redis_url, redis = own_redis.url(), own_redis.description
        if database_url is None:
            own_postgres = stack.enter_context(EmbeddedPostgres(settings=postgres_settings, places=places))
            started.append(own_postgres)
            database_url, database = own_postgres.url(), own_postgres.description
        yield Servers(database_url, redis_url, database, redis, tuple(started))
