"""Keeps the payloads of dead letters within their limit: one task in every worker, one of them at work."""

from __future__ import annotations

import asyncio
import random
from contextlib import suppress

from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.typing import FilteringBoundLogger

from noteflow.domain.errors import ConcurrencyConflict, Unavailable
from noteflow.infrastructure.persistence.payload_limit import PayloadLimit, Removed

REST_S = 60.0


async def keep_within_limit(
    engine: AsyncEngine, log: FilteringBoundLogger, limit: PayloadLimit | None = None, *, rest_s: float = REST_S
) -> None:
    """Look once a minute, until cancelled. What was removed is logged; while PostgreSQL is away it is left alone."""
    limit = limit or PayloadLimit()
    while True:
        with suppress(Unavailable, ConcurrencyConflict):  # the relay reports it
            _log_removed(log, await limit.enforce(engine))
        await asyncio.sleep(random.uniform(rest_s / 2, rest_s))  # noqa: S311  # not a secret


def _log_removed(log: FilteringBoundLogger, removed: Removed) -> None:
    if removed.unhandled:
        log.error("dead_letters.payloads_removed", handled=removed.handled, unhandled=removed.unhandled)
    elif removed.handled:
        log.warning("dead_letters.payloads_removed", handled=removed.handled, unhandled=0)
