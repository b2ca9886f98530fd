"""One chaos run: producers, workers, faults, peace, and then the judge."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tests.chaos.acknowledged import AcknowledgedFile
from tests.chaos.dead_letters import DeadLetter, dead_letters
from tests.chaos.effects import effects_in, prepare
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
from worker.dead_letters.mover import CLOSE_EVERY_S

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
LATE = 4
"""Of so many meetings one is created late, where that is among the faults."""
NEED_THE_OUTBOX = {"bodies", "isolation", "pooler"}
"""Faults for which half of the commands are asked for in PostgreSQL."""
PEACE_S = 90.0
"""After the last fault the queue must be empty within this time; what is not done by then is lost."""


@dataclass(frozen=True)
class Report:
    """What a run came to."""

    verdict: Verdict
    figures: Figures
    repeated_enqueues: int
    dead_letters: list[DeadLetter]
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
    late = list(workload.meetings[::LATE]) if "isolation" in plan.switches else []
    there = [meeting for meeting in workload.meetings if meeting not in late]
    await prepare(database_url, there, loosen=LOOSEN if module == NAIVE else "")
    account, file = Account(folder / "witness"), AcknowledgedFile(folder / "acknowledged")
    async with Proxy(database_url) as postgres_proxy, Proxy(redis.url()) as redis_proxy:
        outbox_url = postgres_proxy.url if plan.switches & NEED_THE_OUTBOX else ""
        production = Production(
            redis_proxy.url, file, workload.commands, COMMANDS_A_SECOND, plan.seed, outbox_url=outbox_url
        )
        nemesis = Nemesis(
            folder, account, postgres, redis, postgres_proxy, redis_proxy, lease_s=LEASE_S, told=progress.told,
            withheld=list(late),
        )  # fmt: skip
        settings = {"LEASE_S": f"{LEASE_S:g}", **BRISK}
        if "log-reader" in plan.switches:
            settings["CHAOS_LOG_READER"] = "1"
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
    left = await dead_letters(database_url, redis.url())
    return Report(
        judge(file.read(), await effects_in(database_url), {letter.job_id: letter.reason for letter in left}),
        figures_of(account.read_on(), nemesis.deaths),
        production.repeated,
        left,
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
    """Wait until nothing is left to do, or patience is over; return how long that took, in seconds.

    Then as long as the archiver may take to close the dead letter of a job that was applied.
    """
    start_s = time.monotonic()
    while time.monotonic() - start_s < PEACE_S and not await is_quiet(database_url, redis_url):
        await asyncio.sleep(0.1)
    quiet_s = time.monotonic()
    while time.monotonic() - quiet_s < 2 * CLOSE_EVERY_S and await dead_letters(database_url, redis_url):
        await asyncio.sleep(0.5)
    return quiet_s - start_s
