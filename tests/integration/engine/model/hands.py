"""Workers with nothing behind them: they say to Redis what a worker says, through what the engine says it with."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from tests.integration.engine.model.jobs import HOUR
from tests.integration.engine.model.judgement import Asked
from worker.engine import keeper, wire
from worker.engine.asking import Asking
from worker.engine.conversation import Conversation
from worker.engine.scripts import call_script, run_script

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from arq.connections import ArqRedis
    from redis import Redis

    from tests.integration.engine.model.story import Story
    from worker.engine.claims import Claim, Holds, Settlement, Status
    from worker.engine.options import Options
    from worker.engine.worker import Worker


@dataclass(frozen=True, slots=True)
class Told:
    """Be one ending, what Redis said of it, and the letters that gave way to its own."""

    settlement: Settlement
    status: Status | None
    evicted: tuple[str, ...]


class Hands:
    """Be one worker's half of the conversation. A worker that dies says nothing more, which takes no code."""

    def __init__(self, name: str, queues: Sequence[str], pool: ArqRedis, redis: Redis, options: Options) -> None:
        self.name = name
        self.queues = tuple(queues)
        self.options = options
        self._pool, self._redis = pool, redis
        self._asking = Asking(queues, name, options)

    @property
    def lease_ms(self) -> int:
        """Return how long its leases last."""
        return int(self.options.lease_s * 1000)

    @property
    def unanswered(self) -> bool:
        """Tell whether a claim of its may have taken jobs in vain."""
        return bool(self._asking.unanswered)

    async def claim(
        self, story: Story, limit: int, reserves: Sequence[int], *, aborts: bool, holds: Holds, answered: bool
    ) -> Asked:
        """Claim; if not `answered`, the worker does not hear what it got, but whoever looks on does."""
        asked = self._asking.ask(limit, reserves, aborts=aborts, holds=holds)
        [answer] = await self._send([self._asking.call(asked)])
        if answered:
            self._asking.accept(asked, answer)
        else:
            self._asking.refuse(asked, ConnectionError("cut"))
            asked.batch.exception()
        batch = wire.read_batch(answer, asked.request.token)
        now = story.told(batch.now_ms)
        return Asked(asked.request, self.queues, self.options, batch, now, story.seen, story.look())

    async def claim_late(self, limit: int) -> list[Claim]:
        """Send a claim that a server comes to too late."""
        asked = self._asking.ask(limit, [0] * len(self.queues), aborts=False)
        late = wire.claim_call(asked.request, self.queues, self.options, int(wire.now_ms()) - 60_000)
        [answer] = await self._send([late])
        return wire.read_batch(answer, asked.request.token).claims

    async def recover(self) -> list[tuple[str, int]]:
        """Hand back what unanswered claims took; return how many jobs of each token."""
        recovered = []
        for token in self._asking.unanswered[:]:
            count = await run_script(self._pool, "recover", self.queues, self._asking.recovery(token))
            recovered.append((token, int(count)))
            self._asking.unanswered.remove(token)
        return recovered

    async def settle(self, endings: Sequence[Callable[[], Settlement]]) -> list[Told]:
        """Send endings in one group; return what Redis said of each, in the order in which it was done."""
        group = [make() for make in endings]
        calls = wire.settlement_calls(group, self.queues, self.name, self.options)
        told = []
        for call, answer in zip(calls, await self._send(calls), strict=True):
            evicted = wire.apply(call, answer)
            told += [Told(settlement, settlement.status, tuple(evicted)) for settlement in call.settlements]
        return told

    async def keep(self) -> None:
        """Do the keeper's round, unless somebody else has done it within the hour."""
        worker = SimpleNamespace(pool=self._pool, worker_id=self.name, queues=self.queues, options=self.options)
        worker.next_keeping_s = 0.0
        await keeper.keep_bodies(cast("Worker", worker))

    def beat(self, *, stops: bool) -> None:
        """Write the worker's record as the lease thread does."""
        call_script(self._redis, "beat", [], (self.name, b"{}", int(self.options.beat_s * 3000), HOUR, int(stops)))

    def renew(self, claims: Sequence[Claim]) -> list[str]:
        """Renew leases as the lease thread does; return the ids of those that are lost."""
        args: list[Any] = [self.lease_ms]
        for claim in claims:
            args += (claim.queue, claim.key, claim.token)
        return [key.decode() for key in call_script(self._redis, "renew", self.queues, args)]

    async def _send(self, calls: Sequence[wire.Call]) -> list[Any]:
        conversation = Conversation(lambda: self._pool.connection_pool, wire.SCRIPTS)
        async with asyncio.timeout(60):
            answers = await conversation.call([call.command for call in calls])
        await conversation.end()
        for answer in answers:
            if isinstance(answer, BaseException):
                raise answer
        return answers
