"""Payloads that Redis has lost, from the outbox."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import FilteringBoundLogger

from noteflow.domain.errors import ConcurrencyConflict, Unavailable
from noteflow.infrastructure.persistence.outbox import kept_payload
from worker.endings import LONGEST_HAND_BACK_S
from worker.engine.verdicts import HandBack
from worker.retry import failure_of


@dataclass(frozen=True, slots=True)
class KeptPayloads:
    """The payloads that the outbox keeps. `on_unavailable` is called with what PostgreSQL failed with."""

    engine: AsyncEngine
    log: FilteringBoundLogger
    on_unavailable: Callable[[Exception], None]

    async def find(self, job_id: str) -> bytes | None:
        """Return the payload of a job whose body Redis has lost; None if the outbox does not know the job.

        Raises HandBack while PostgreSQL cannot answer: nothing may be concluded from that.
        """
        try:
            body = await kept_payload(self.engine, job_id)
        except (Unavailable, ConcurrencyConflict) as error:
            if isinstance(error, Unavailable):
                self.on_unavailable(error)
            raise HandBack(1.0, failure_of(error), longest_s=LONGEST_HAND_BACK_S) from error
        if body is not None:
            self.log.warning("payload.restored", job=job_id, why="Redis had lost it; the outbox keeps it")
        return body
