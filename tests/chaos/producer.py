"""Says commands until each is acknowledged, and notes when it is."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg
from sqlalchemy.exc import SQLAlchemyError

from noteflow.domain.errors import QueueUnavailable
from noteflow.infrastructure.persistence.engine import create_engine
from noteflow.infrastructure.persistence.outbox import enqueue_in
from noteflow.infrastructure.queue.client import JobClient
from tests.chaos.acknowledged import Acknowledged, AcknowledgedFile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sqlalchemy.ext.asyncio import AsyncEngine

    from noteflow.domain.commands import Command

TOGETHER = 5
TIMEOUT_S = 3.0


@dataclass
class Production:
    """Producers at work. `acknowledged` counts commands, `repeated` the times something had to be said again.

    With `outbox_url` they ask for every second parcel in a transaction of that database.
    """

    redis_url: str
    file: AcknowledgedFile
    commands: Sequence[Command]
    a_second: float
    seed: int
    outbox_url: str = ""
    acknowledged: int = 0
    repeated: int = 0

    async def run(self, producers: int = 3) -> None:
        """Say everything at its time, so many commands a second; return when all of it is acknowledged."""
        start_s = asyncio.get_running_loop().time()
        parcels = [
            (start_s + first / self.a_second, self.commands[first : first + TOGETHER])
            for first in range(0, len(self.commands), TOGETHER)
        ]
        async with asyncio.TaskGroup() as group:
            for number in range(producers):
                group.create_task(self._produce(parcels[number::producers], random.Random(self.seed + number)))

    async def _produce(self, parcels: Sequence[tuple[float, Sequence[Command]]], chance: random.Random) -> None:
        loop = asyncio.get_running_loop()
        engine = create_engine(self.outbox_url, pool_size=1, command_timeout_s=TIMEOUT_S) if self.outbox_url else None
        try:
            async with JobClient.from_url(self.redis_url, timeout_s=TIMEOUT_S, max_connections=1) as jobs:
                for number, (due_s, parcel) in enumerate(parcels):
                    await asyncio.sleep(max(0.0, due_s - loop.time()))
                    if engine is not None and number % 2:
                        await self._ask(engine, parcel, chance)
                    else:
                        await self._say(jobs, parcel, chance)
        finally:
            if engine is not None:
                await engine.dispose()

    async def _ask(self, engine: AsyncEngine, parcel: Sequence[Command], chance: random.Random) -> None:
        while True:
            try:
                async with engine.begin() as connection:
                    job_ids = [tuple(await enqueue_in(connection, command)) for command in parcel]
            except (SQLAlchemyError, asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
                self.repeated += 1
                await asyncio.sleep(chance.uniform(0.05, 0.3))
            else:
                break
        self._note(parcel, job_ids)

    async def _say(self, jobs: JobClient, parcel: Sequence[Command], chance: random.Random) -> None:
        while True:
            try:
                answers = await jobs.enqueue_many(parcel)
            except QueueUnavailable:
                self.repeated += 1
                await asyncio.sleep(chance.uniform(0.05, 0.3))
            else:
                break
        self._note(parcel, [answer.job_ids for answer in answers])

    def _note(self, parcel: Sequence[Command], job_ids: Sequence[tuple[str, ...]]) -> None:
        pairs = zip(parcel, job_ids, strict=True)
        self.file.append([Acknowledged.of(command, of_it) for command, of_it in pairs])
        self.acknowledged += len(parcel)
