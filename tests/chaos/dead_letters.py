"""The dead letters that a run leaves: which jobs, and why. Read past the product, from the tables and from Redis."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass

from redis.asyncio import Redis

from noteflow.infrastructure.queue.keys import DEAD_LETTERS, dead_letter
from tests.chaos.effects import ask


@dataclass(frozen=True)
class DeadLetter:
    """One dead letter that nobody replayed or dropped."""

    job_id: str
    reason: str
    crashes: int
    last_error: str

    def __str__(self) -> str:
        error = f"; last error {self.last_error}" if self.last_error else ""
        return f"{self.job_id}: {self.reason} (crashes {self.crashes}{error})"


async def dead_letters(database_url: str, redis_url: str) -> list[DeadLetter]:
    """Return what is dead in PostgreSQL, and in Redis for what was not archived."""
    rows = await ask(
        database_url, "SELECT job_id, reason, crashes, errors FROM dead_letters WHERE state = 'dead' ORDER BY id"
    )
    found = {row["job_id"]: _letter(row["job_id"], row["reason"], row["crashes"], row["errors"]) for row in rows}
    async with Redis.from_url(redis_url, decode_responses=True) as redis:
        for job_id in await redis.zrange(DEAD_LETTERS, 0, -1):
            form = await redis.hgetall(dead_letter(job_id))
            letter = _letter(job_id, form.get("reason", "?"), form.get("crashes", 0), form.get("errors", "[]"))
            found.setdefault(job_id, letter)
    return list(found.values())


def _letter(job_id: str, reason: str, crashes: int | str, errors: str) -> DeadLetter:
    last = ""
    with suppress(ValueError, KeyError, IndexError, TypeError):
        error = json.loads(errors)[-1]
        last = f"{error['error']}: {error['message']}"
    return DeadLetter(job_id, reason, int(crashes), last)
