"""PostgreSQL is restored from a backup while workers live on: what it lost is done when producers repeat it."""

from __future__ import annotations

import asyncio
import json
import shutil
from typing import TYPE_CHECKING

from redis.asyncio import Redis

from noteflow.infrastructure.queue.answers import Enqueued
from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.jobs_console import JobsConsole
from tests.acceptance.judge import Judge
from tests.integration.worker.stage import batch, move
from tests.waiting import eventually

if TYPE_CHECKING:
    from noteflow.domain.commands import Command
    from tests.acceptance.conftest import StartWorkers
    from tests.conftest import OwnPostgres
    from worker.embedded import EmbeddedPostgres

JOBS = 45


async def test_every_repetition_after_a_restored_backup_is_enqueued_and_applied(
    own_postgres: OwnPostgres, redis_url: str, start_workers: StartWorkers
) -> None:
    server = own_postgres()
    database_url = server.url("noteflow")
    judge = Judge(database_url)
    met = await judge.new_meeting()
    await asyncio.to_thread(back_up, server)
    commands: list[Command] = [move(met, "RECORDING", 1), *(batch(met, place) for place in range(JOBS - 1))]
    (worker,) = await start_workers(database_url, redis_url)
    async with Redis.from_url(redis_url) as redis, JobClient(redis) as client:
        first = await client.enqueue_many(commands)
        await eventually(lambda: has_applied(judge, JOBS), within_s=60)
        await eventually(lambda: has_results(redis, JOBS))
        await eventually(lambda: redis.exists("arq:postgresql:mark"))

        await asyncio.to_thread(restore, server)
        await eventually(lambda: worker.lines("outbox.postgresql_set_back"), within_s=60)
        (line,) = worker.lines("outbox.postgresql_set_back")
        assert (line["level"], line["results"]) == ("error", JOBS)
        await asyncio.to_thread(shows_the_loss, JobsConsole(database_url, redis_url), first[0].job_id, line["since"])

        second = await client.enqueue_many(commands)
        assert {type(each) for each in second} == {Enqueued}
        assert [each.job_id for each in second] == [each.job_id for each in first]
        await eventually(lambda: has_applied(judge, JOBS), within_s=60)
    assert len((await judge.segments())[met]) == JOBS - 1
    assert worker.lines("job.dead") == []


def shows_the_loss(console: JobsConsole, job_id: str, since: str) -> None:
    """Each command that looks at the whole names the loss, and none calls a lost job applied."""
    assert console.why(job_id)["code"] == "unknown"
    findings = json.loads(console.command("check", "--json").stdout)
    (mark,) = [finding for finding in findings if finding["subject"] == "postgresql mark"]
    assert mark["verdict"] == "warning"
    assert "PostgreSQL lost what was committed after" in mark["found"]
    for command in (("jobs", "stats"), ("reconcile",)):
        lost = json.loads(console.command(*command, "--json").stdout)["postgresql_lost"]
        assert (lost["since"][:19], lost["results"]) == (since[:19], JOBS)
        shown = " ".join(console.command(*command).stdout.split())
        assert f"{JOBS} results of jobs that are gone forgotten" in shown


def back_up(server: EmbeddedPostgres) -> None:
    """Copy the data directory of the stopped server, and start it again."""
    server.stop()
    shutil.copytree(server.home / "data", server.home / "backup")
    server.start()


def restore(server: EmbeddedPostgres) -> None:
    """Put the copy in the place of what came since."""
    server.stop("immediate")
    shutil.rmtree(server.home / "data")
    shutil.move(server.home / "backup", server.home / "data")
    server._identity.give(server.home)
    server.start()


async def has_applied(judge: Judge, number: int) -> bool:
    return bool((await judge.ask("SELECT count(*) AS number FROM job_ledger"))[0]["number"] == number)


async def has_results(redis: Redis, number: int) -> bool:
    return len(await redis.keys("arq:result:*")) == number
