"""One chaos run: producers, workers, faults, peace, and then the judge."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from noteflow.infrastructure.queue.keys import DEAD_LETTERS
from tests.chaos.acknowledged import AcknowledgedFile
from tests.chaos.effects import ask, effects_in, prepare
from tests.chaos.figures import Figures, figures_of
from tests.chaos.fleet import BRISK, supervised
from tests.chaos.judge import Verdict, judge
from tests.chaos.naive import LOOSEN
from tests.chaos.nemesis import Nemesis
from tests.chaos.peace import is_quiet
from tests.chaos.producer import Production
from tests.chaos.witness import Account
from tests.chaos.workload import make_workload
from tests.processes import alive
from tests.proxy import Proxy
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.chaos.plan import Plan
    from worker.embedded import EmbeddedPostgres, EmbeddedRedis

PRODUCT = "tests.chaos.worker"
NAIVE = "tests.chaos.naive"
WORKERS = 3
LEASE_S = 2.0
COMMANDS_A_SECOND = 60.0
PEACE_S = 90.0
"""After the last fault the queue must be empty within this time; what is not done by then is lost."""


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    verdict: Verdict
    figures: Figures
    repeated_enqueues: int
    dead_letters: int
    missed_faults: int
    own_exits: int
    peace_s: float


@dataclass
class Progress:
    """Where a run is, for whoever watches."""

    told: Callable[[str], None] = lambda _sentence: None
    advanced: Callable[[int, int], None] = lambda _acknowledged, _stored: None


async def run_chaos(
    plan: Plan, module: str, postgres: EmbeddedPostgres, redis: EmbeddedRedis, folder: Path, progress: Progress
) -> Report:
    """Carry out the plan over workers of a module. The database is migrated and empty, as Redis is."""
    workload = make_workload(
        plan.seed, commands=round(COMMANDS_A_SECOND * plan.seconds), meetings=max(5, round(plan.seconds))
    )
    database_url = postgres.url("noteflow")
    await prepare(database_url, workload.meetings, loosen=LOOSEN if module == NAIVE else "")
    account, file = Account(folder / "witness"), AcknowledgedFile(folder / "acknowledged")
    async with Proxy(database_url) as postgres_proxy, Proxy(redis.url()) as redis_proxy:
        production = Production(redis_proxy.url, file, workload.commands, COMMANDS_A_SECOND, plan.seed)
        nemesis = Nemesis(
            folder, account, postgres, redis, postgres_proxy, redis_proxy, lease_s=LEASE_S, told=progress.told
        )
        settings = {"LEASE_S": f"{LEASE_S:g}", **BRISK}
        async with supervised(module, WORKERS, account, postgres_proxy.url, redis_proxy.url, settings):
            await eventually(lambda: len(account.pids()) >= WORKERS, within_s=60.0)
            watching = asyncio.create_task(_watch(production, account, progress))
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(production.run())
                    group.create_task(nemesis.run(plan))
                peace_s = await _peace(database_url, redis.url())
                own_exits = [pid for pid in account.pids() if not alive(pid) and pid not in nemesis.ended]
            finally:
                watching.cancel()
    dead_letters = await _dead_letters(database_url, redis.url())
    return Report(
        judge(file.read(), await effects_in(database_url)),
        figures_of(account.read_on(), nemesis.deaths),
        production.repeated,
        dead_letters,
        len(nemesis.missed),
        len(own_exits),
        peace_s,
    )


async def _watch(production: Production, account: Account, progress: Progress) -> None:
    while True:
        ended = {line.job_id for line in account.read_on() if line.point == "ended"}
        progress.advanced(production.acknowledged, len(ended))
        await asyncio.sleep(0.25)


async def _peace(database_url: str, redis_url: str) -> float:
    """Wait until nothing is left to do, or patience is over; return how long that took, in seconds."""
    start_s = time.monotonic()
    while time.monotonic() - start_s < PEACE_S and not await is_quiet(database_url, redis_url):
        await asyncio.sleep(0.1)
    return time.monotonic() - start_s


async def _dead_letters(database_url: str, redis_url: str) -> int:
    async with Redis.from_url(redis_url) as client:
        in_redis = int(await client.zcard(DEAD_LETTERS))
    (moved,) = await ask(database_url, "SELECT count(*) AS number FROM dead_letters")
    return in_redis + int(moved["number"])
