"""With a Redis that hangs every command says so after one question, and tells what PostgreSQL knows."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio.connection import AbstractConnection

from tests.acceptance.jobs_console import JobsConsole
from worker.inspection import sources

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import OwnRedis


@pytest.fixture
def jobs(database_url: str, own_redis: OwnRedis, monkeypatch: pytest.MonkeyPatch) -> Iterator[JobsConsole]:
    """The commands, which wait less long here."""
    monkeypatch.setattr(sources, "REDIS_PATIENCE_S", 0.3)
    server = own_redis()
    server.kill(signal.SIGSTOP)
    yield JobsConsole(database_url, server.url())
    server.kill(signal.SIGCONT)


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Who tried to connect to Redis."""
    tried: list[Any] = []
    connect = AbstractConnection.connect

    async def counted(self: AbstractConnection) -> None:
        tried.append(self)
        await connect(self)  # type: ignore[no-untyped-call]

    monkeypatch.setattr(AbstractConnection, "connect", counted)
    return tried


@pytest.mark.parametrize(
    "arguments",
    [
        *(["why", "job-1"], ["show", "job-1"], ["cancel", "job-1"], ["dead", "replay", "job-1"], ["ls"], ["stats"]),
        *(["workers"], ["meeting", "7d6f6a1e-57f8-4a39-9a3e-3f6a3b0a8f11"], ["acts"]),
    ],
    ids=" ".join,
)
def test_it_is_said_to_be_away(jobs: JobsConsole, arguments: list[str], tries: list[Any]) -> None:
    result = jobs.run(*arguments)
    assert result.exit_code == 3
    assert "does not answer" in result.stderr
    assert "is not dead" not in result.output
    assert len(tries) == 1, "it was waited for more than once"
