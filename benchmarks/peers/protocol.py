"""What the harness and a benchmarked system agree upon. Standard library only: every environment runs it."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

if TYPE_CHECKING:
    from benchmarks.peers.work import Work

VARIABLE = "BENCHMARK"
FUNCTIONS = ("noop", "nap", "ingest")
Arguments = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Config:
    """What one worker or producer process is told, through its environment."""

    redis_url: str = field(repr=False)
    board: str
    max_jobs: int
    tuned: bool
    database_url: str | None = field(default=None, repr=False)
    number: int = 0

    @classmethod
    def read(cls) -> Self:
        """The configuration this process was started with."""
        return cls(**json.loads(os.environ[VARIABLE]))

    def environment(self) -> dict[str, str]:
        """The environment to start a process with."""
        return {VARIABLE: json.dumps(asdict(self))}


class Producer(Protocol):
    """A system's own way to enqueue."""

    async def one(self, function: str, arguments: Arguments) -> None:
        """Enqueue one job."""

    async def many(self, function: str, jobs: Sequence[Arguments]) -> None:
        """Enqueue jobs in the fastest way that the system's own API offers."""

    async def fill(self, function: str, jobs: Sequence[Arguments]) -> None:
        """Enqueue jobs in the fastest way there is. Not measured."""


class System(Protocol):
    """A job queue, with a worker and a producer."""

    async def work(self, config: Config, work: Work) -> None:
        """Run one worker process until it is killed, and call `work` for its jobs."""

    def producer(self, config: Config) -> AbstractAsyncContextManager[Producer]:
        """A connected producer."""
