"""`prune` as an operator types it."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.manager import PATIENCE_S, ROOT, environment
from tests.acceptance.upkeep.ledger import entries, letters, old_entry
from tests.acceptance.upkeep.run import Run, command
from tests.integration.worker.stage import Stage, batch, move
from tests.waiting import eventually

if TYPE_CHECKING:
    from uuid import UUID


@pytest.mark.parametrize("age", ["23h", "0d", "30", "-1d", "soon"])
async def test_an_age_under_a_day_is_refused(run: Run, age: str) -> None:
    answer = await run("prune", f"--older-than={age}")
    assert answer.returncode == 2
    assert "at least a day" in answer.stderr


async def test_what_is_old_goes_and_what_may_still_be_needed_stays(
    run: Run, stage: Stage, met: UUID, redis_url: str
) -> None:
    await old_entry(stage, batch(met, 0), "old")
    await stage.deliver(batch(met, 1), "young")
    await old_entry(stage, batch(met, 2), "asked for again")
    async with stage.unit() as uow:
        await uow.jobs.enqueue(batch(met, 2), job_id="asked for again")
        await uow.commit()
    async with Redis.from_url(redis_url) as redis:
        waits = (await JobClient(redis).enqueue(move(met, "RECORDING"))).job_id
    await old_entry(stage, move(met, "RECORDING"), waits)
    await letters(stage, met)

    answer = await run("prune", "--older-than", "30d")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout == (
        "deleted: 1 row of the ledger, 2 dead letters; kept, for their jobs may still be delivered: 2 rows.\n"
    )
    left = await stage.ledger()
    assert {job_id.partition("@")[0] for job_id in left} == {"young", "asked for again", waits}
    assert [letter["state"] for letter in await stage.letters()] == ["dead", "dropped", "replayed"]
    assert len(await stage.judge.ask("SELECT FROM dead_letter_acts")) == 1
    assert await stage.judge.count() == 3


async def test_unhandled_dead_letters_go_after_90_days_and_are_warned_of_a_week_before(
    run: Run, stage: Stage, met: UUID
) -> None:
    await letters(stage, met)
    await stage.judge.ask("UPDATE dead_letters SET died_at = now() - interval '84 days' WHERE state = 'dead'")
    answer = await run("prune")
    assert answer.returncode == 0
    assert answer.stderr.startswith("warning: 1 unhandled dead letter will be 90d old within 7 days")
    found = {each["subject"]: each for each in json.loads((await run("check", "--json")).stdout)}["dead letters"]
    assert found["verdict"] == "warning"
    assert found["found"].startswith("1 unhandled one over 90 days old, now or within 7 days")

    answer = await run("prune", "--dead-older-than", "12w")
    assert answer.stdout == "deleted: 0 rows of the ledger, 0 dead letters, 1 unhandled dead letter.\n"
    assert answer.stderr == ""
    assert [letter["state"] for letter in await stage.letters()] == ["dropped", "replayed"]
    assert (await run("prune", "--dead-older-than", "1h")).returncode == 2


async def test_pruning_may_be_interrupted_and_said_again(
    run: Run, stage: Stage, met: UUID, database_url: str, redis_url: str
) -> None:
    await stage.judge.ask(
        "INSERT INTO job_ledger (job_id, kind, meeting_id, digest, outcome, detail, attempts, worker, enqueued_at,"
        " committed_at) SELECT 'job-' || n, 'ingest_segments', $1, '', 'applied', '{}', 1, '', now(),"
        " now() - interval '40 days' + n * interval '1 ms' FROM generate_series(1, 30000) AS n",
        met,
    )
    process = subprocess.Popen(
        command("prune"), cwd=ROOT, env=environment(database_url, redis_url), stdout=subprocess.PIPE, text=True
    )
    try:
        await eventually(lambda: _fewer_than(stage, 30_000), every_s=0.001)
        process.send_signal(signal.SIGINT)
        said, _ = await asyncio.to_thread(process.communicate, timeout=PATIENCE_S)
    finally:
        process.kill()
        process.wait()
    left = await entries(stage)
    if process.returncode:  # a fast machine may have been done already
        assert process.returncode == 130
        assert said.startswith("stopped; ")
        assert 0 < left < 30_000
    answer = await run("prune")
    assert answer.stdout.startswith(f"deleted: {left:,} row")
    assert await entries(stage) == 0


async def test_on_a_terminal_pruning_shows_how_far_it_is(
    stage: Stage, met: UUID, database_url: str, redis_url: str
) -> None:
    for number in range(3):
        await old_entry(stage, batch(met, number), f"old-{number}")
    terminal, its_end = pty.openpty()
    told = environment(database_url, redis_url, TERM="xterm", NO_COLOR="1")
    process = subprocess.Popen(command("prune"), cwd=ROOT, env=told, stdout=subprocess.DEVNULL, stderr=its_end)
    os.close(its_end)
    try:
        shown = await asyncio.to_thread(_all_of, terminal)
        assert await asyncio.to_thread(process.wait, PATIENCE_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(terminal)
    assert re.search(r"ledger .* 3/3", shown)


async def test_nobody_waits_for_long_while_the_ledger_is_pruned(run: Run, stage: Stage, met: UUID) -> None:
    """Each page goes in a transaction of its own."""
    await old_entry(stage, batch(met, 0), "old")
    await stage.judge.ask("CREATE TABLE transactions (xid xid8)")
    await stage.judge.ask(
        "INSERT INTO job_ledger (job_id, kind, meeting_id, digest, outcome, detail, attempts, worker, enqueued_at,"
        " committed_at) SELECT 'job-' || n, 'ingest_segments', $1, '', 'applied', '{}', 1, '', now(),"
        " now() - interval '35 days' FROM generate_series(1, 4500) AS n",
        met,
    )
    await stage.judge.ask(
        "CREATE FUNCTION note_transaction() RETURNS trigger LANGUAGE plpgsql AS"
        " $$ BEGIN INSERT INTO transactions VALUES (pg_current_xact_id()); RETURN NULL; END $$"
    )
    await stage.judge.ask(
        "CREATE TRIGGER noted AFTER DELETE ON job_ledger FOR EACH STATEMENT EXECUTE FUNCTION note_transaction()"
    )
    assert (await run("prune")).stdout == "deleted: 4,501 rows of the ledger, 0 dead letters.\n"
    assert len(await stage.judge.ask("SELECT DISTINCT xid FROM transactions")) == 3


def _all_of(terminal: int) -> str:
    shown = b""
    with suppress(OSError):  # how a terminal says that nobody writes to it any more
        while piece := os.read(terminal, 4096):
            shown += piece
    return shown.decode()


async def _fewer_than(stage: Stage, number: int) -> bool:
    return await entries(stage) < number
