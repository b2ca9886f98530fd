"""A job as it was claimed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from worker.engine.verdicts import AttemptError


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claim's job: its envelope, taken apart but not yet understood. `number` counts its deliveries from 1.

    `body` reads the payload as it lies in Redis, None if it is gone. `earlier_errors` are those of the attempts that
    were made in earlier claims, as far as the worker is told of them: a stock one is not.
    """

    job_id: str
    function: str
    args: Sequence[Any] = field(repr=False)
    kwargs: Mapping[str, Any] = field(repr=False)
    number: int
    enqueued_at: datetime
    queue: str
    worker: str
    body: Callable[[], Awaitable[bytes | None]] = field(repr=False)
    earlier_errors: Sequence[AttemptError] = ()

    @property
    def enqueued_ms(self) -> int:
        """When it was enqueued, in unix milliseconds."""
        return round(self.enqueued_at.timestamp() * 1000)
