"""A job as it was claimed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Delivery:
    """One claim's job: its envelope, taken apart but not yet understood. `number` counts its deliveries from 1."""

    job_id: str
    function: str
    args: Sequence[Any] = field(repr=False)
    kwargs: Mapping[str, Any] = field(repr=False)
    number: int
    enqueued_at: datetime

    @property
    def age_s(self) -> float:
        """Seconds since it was enqueued, by the clocks of producer and worker."""
        return max(0.0, (datetime.now(UTC) - self.enqueued_at).total_seconds())
