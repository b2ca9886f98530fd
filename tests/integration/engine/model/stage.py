"""Where a machine plays: one Redis, three workers, and the model that looks on."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from arq.connections import ArqRedis
from hypothesis import assume
from hypothesis.stateful import RuleBasedStateMachine, invariant
from hypothesis.strategies import DataObject, sampled_from
from redis import Redis

from tests.integration.engine.model.comparing import check
from tests.integration.engine.model.hands import Hands
from tests.integration.engine.model.model import Model
from tests.integration.engine.model.story import Story
from worker.engine import DeadLetters, Options

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

    from tests.integration.engine.model.job import Job
    from worker.engine.claims import Claim

UPPER, LOWER = "arq:queue", "low"
# Ids are unique in a Redis, so each has its queue. Few, for it is on one id that things get in each other's way.
QUEUES: Final = {"a": UPPER, "b": UPPER, "c": UPPER, "cron": UPPER, "x": LOWER, "y": LOWER}
MOST_LETTERS: Final = 1

# Time passes in steps of 19 s. All lives and delays, the engine's own too, leave 5 to 14 s over a number of steps, also
# doubled: so no moment of the story comes close to an end by chance, however long a step takes on a busy machine.
STEP_S: Final = 19
LEASE_S: Final = 598
BEAT_S: Final = 402
LEAPS_S: Final = tuple(STEP_S * steps for steps in (4, 16, 33, 100, 3_948))
"""Shorter than all, half a lease, a lease, a long delay, most of a day."""

STANDSTILL_MS: Final = 4_000
"""What is left of that when the test stands still for so long proves nothing."""

# How long the results of its jobs are kept, by function: ms, 0 for ever, -1 not at all.
LIVES_MS: Final = {"ingest": 3_600_000, "notify": -1}


@dataclass(frozen=True, slots=True)
class Ground:
    """Be what all stories of a run share: the clients, and the loop in which the engine's asynchronous half runs."""

    redis: Redis
    pool: ArqRedis
    runner: asyncio.Runner


@contextmanager
def ground_on(url: str) -> Iterator[Ground]:
    """Connect to a Redis that the stories may empty."""
    with Redis.from_url(url) as redis, asyncio.Runner() as runner:
        pool = ArqRedis.from_url(url)
        yield Ground(redis, pool, runner)
        runner.run(pool.aclose(close_connection_pool=True))


@dataclass(frozen=True, repr=False, eq=False)
class Held:
    """Be a claim in a worker's hands, for as long as it likes: also when others have the job by now."""

    number: int
    claim: Claim
    hands: Hands
    function: str

    def __repr__(self) -> str:
        """Be the same words each time: the steps of a failure are to be compared."""
        return f"{self.hands.name}'s claim {self.number} of {self.claim.job_id}"

    def _repr_pretty_(self, printer: Any, _cycle: bool) -> None:
        printer.text(repr(self))


class Stage(RuleBasedStateMachine):
    """Hold the two worlds, the real one and the model's, and compare them after each step."""

    def __init__(self, ground: Ground) -> None:
        super().__init__()
        self.ground = ground
        self.redis, self.pool = ground.redis, ground.pool
        self.redis.flushall()
        self.story = Story(self.redis)
        self.model = Model(QUEUES, MOST_LETTERS)
        self.letters = DeadLetters(ground.pool)
        usual = Options(lease_s=LEASE_S, beat_s=BEAT_S, max_dead_letters=MOST_LETTERS)
        self.hands = (
            Hands("ann", (UPPER, LOWER), ground.pool, ground.redis, usual),
            Hands("bob", (LOWER, UPPER), ground.pool, ground.redis, replace(usual, claim_bytes=100)),
            Hands("eve", (UPPER,), ground.pool, ground.redis, replace(usual, max_crashes=2)),
        )
        self.held: list[Held] = []
        self.numbers = iter(range(1, 1_000_000))

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        """Run the asynchronous half of something."""
        return self.ground.runner.run(coroutine)

    def jobs(self, fit: Callable[[Job], bool]) -> list[str]:
        """Return the ids of the jobs that fit."""
        return [job.id for job in self.model.jobs.values() if fit(job)]

    def draw_job(self, data: DataObject, fit: Callable[[Job], bool]) -> Job:
        """Return some job that fits."""
        return self.model.jobs[data.draw(sampled_from(self.jobs(fit)), "job")]

    @invariant()
    def redis_is_as_the_model_says(self) -> None:
        """Compare; then some seconds pass, so that no two steps are at one moment, which would be in any order."""
        look = self.story.look()
        assume(look.now - self.story.now < STANDSTILL_MS)
        self.model.forget(look.now)
        check(look, self.model)
        self.some_seconds_pass()

    def some_seconds_pass(self, seconds: int = STEP_S) -> None:
        """Let time pass, in the story."""
        self.story.leap(seconds * 1000, [held.claim for held in self.held])
        self.model.forget(self.story.now)
