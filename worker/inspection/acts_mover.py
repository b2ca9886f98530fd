"""Moves what operators did while PostgreSQL was away, from the workers, where somebody is always awake."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine

from noteflow.domain.errors import Unavailable
from noteflow.infrastructure.queue.unavailable import REDIS_FAILURES
from worker.inspection.acts import move_acts


async def keep_moving_acts(engine: AsyncEngine, redis: Any, *, rest_s: float = 10.0) -> None:
    """Run until cancelled, at the price of one command every `rest_s` seconds. A server that is away is asked again."""
    while True:
        try:
            await move_acts(engine, redis)
        except (Unavailable, SQLAlchemyError, *REDIS_FAILURES):  # others tell of it
            pass
        await asyncio.sleep(random.uniform(rest_s / 2, rest_s))  # noqa: S311  # not a secret
