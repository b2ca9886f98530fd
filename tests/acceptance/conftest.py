"""Real workers for the acceptance tests: started as people start them, ended by their pids."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, Protocol

import pytest

from tests.acceptance.fleet import OURS, STOCK, Command, WorkerProcess, all_ready, worker_processes

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

WAYS = {"python -m worker run": OURS, "arq worker.WorkerSettings": STOCK}


class StartWorkers(Protocol):
    """Starts workers and returns when they look for jobs. `settings` are more variables of its environment."""

    async def __call__(
        self,
        database_url: str,
        redis_url: str,
        *,
        number: int = 1,
        command: Command = OURS,
        settings: Mapping[str, str] | None = None,
    ) -> list[WorkerProcess]: ...


@pytest.fixture(params=WAYS.values(), ids=list(WAYS), scope="module")
def either_way(request: pytest.FixtureRequest) -> Command:
    """Both ways to start a worker."""
    command: Command = request.param
    return command


@pytest.fixture
def start_workers(tmp_path: Path) -> Iterator[StartWorkers]:
    """A factory of worker processes, which are gone when the test is."""
    with ExitStack() as stack:

        async def start(
            database_url: str,
            redis_url: str,
            *,
            number: int = 1,
            command: Command = OURS,
            settings: Mapping[str, str] | None = None,
        ) -> list[WorkerProcess]:
            workers = stack.enter_context(
                worker_processes(command, number, database_url, redis_url, tmp_path, settings or {})
            )
            await all_ready(workers)
            return workers

        yield start
