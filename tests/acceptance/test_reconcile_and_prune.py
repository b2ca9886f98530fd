"""`reconcile` and `prune` as an operator types them."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from redis.asyncio import Redis

from noteflow.infrastructure.queue.client import JobClient
from tests.acceptance.burning import producer_for
from tests.acceptance.manager import PATIENCE_S, ROOT, environment
from tests.integration.worker.stage import Stage, batch, move, open_stage
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable
    from uuid import UUID

    from tests.acceptance.conftest import StartWorkers

    Run = Callable[..., Awaitable[subprocess.CompletedProcess[str]]]

AWAY = "redis://127.0.0.1:1/0"


@pytest.fixture
async def stage(database_url: str) -> AsyncIterator[Stage]:
    async with open_stage(database_url) as stage:
        yield stage


@pytest.fixture
async def met(stage: Stage) -> UUID:
    return await stage.judge.new_meeting()


@pytest.fixture
def run(database_url: str, redis_url: str) -> Run:
    """Runs a command of the worker to its end."""

    async def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        told = environment(database_url, redis_url) | variables
        return await asyncio.to_thread(
            subprocess.run, command(*arguments), cwd=ROOT, env=told, capture_output=True, text=True, timeout=PATIENCE_S
        )

    return run


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "worker", *arguments]


async def test_reconcile_ends_with_4_while_something_is_missing_and_with_0_once_it_is_repaired(
    run: Run, database_url: str, redis_url: str, start_workers: StartWorkers
) -> None:
    producer = await producer_for(database_url, 1)
    await producer.produce(8)
    await producer.judge.ask("UPDATE outbox SET state = 'dispatched', dispatched_at = now(), due_at = 'infinity'")

    gaps = await run("reconcile")
    assert gaps.returncode == 4, gaps.stdout + gaps.stderr
    assert f"Missing: {producer.asked} jobs." in gaps.stdout
    repaired = await run("reconcile", "--repair", "--json")
    assert repaired.returncode == 0, repaired.stdout + repaired.stderr
    report = json.loads(repaired.stdout)
    assert len(report["repaired"]) == producer.asked
    assert report["counts"] == {
        "applied": 0, "waiting": producer.asked, "running": 0, "parked": 0, "dead": 0, "missing": 0, "doubled": 0,
    }  # fmt: skip

    await start_workers(database_url, redis_url)
    await eventually(producer.is_done, within_s=30.0, every_s=0.1)
    await producer.verdict()
    sound = await run("reconcile")
    assert (sound.returncode, sound.stderr) == (0, "")
    # The rows said that Redis had what it had never been given: to a relay that is a Redis that was emptied.
    assert "\nNothing that PostgreSQL knows of is missing. Redis was emptied" in sound.stdout
    assert f"applied {producer.asked:>6}".split() == sound.stdout.splitlines()[1].split()


async def test_the_json_of_a_reconciliation_has_stable_names(run: Run, stage: Stage, met: UUID) -> None:
    await stage.deliver(move(met, "RECORDING", 1))
    await stage.deliver(move(met, "STOPPED", 2, expected_batches=2))
    await stage.deliver(batch(met, 0, batch=2), "the second")
    await stage.deliver(move(met, "COMPLETED", 3), "the end")
    answer = await run("reconcile", "--meeting", str(met), "--since", "1h", "--json")
    assert answer.returncode == 4, answer.stderr
    report: dict[str, Any] = json.loads(answer.stdout)
    assert set(report) == {
        "examined_at", "since", "meeting_id", "counts", "jobs", "batches", "not_examined", "repaired", "redis_lost",
        "meeting_known",
    }  # fmt: skip
    assert report["meeting_known"] is True
    assert report["batches"] == [{"meeting_id": str(met), "expected": 2, "missing": [1], "dead": [], "on_the_way": []}]
    jobs = {job["job_id"]: job for job in report["jobs"]}
    assert set(jobs["the end"]) == {"job_id", "kind", "meeting_id", "state", "reason", "since", "repairable"}
    assert jobs["the end"]["state"] == "parked"
    assert jobs["the second"]["state"] == "applied"
    shown = await run("reconcile", "--meeting", str(met))
    assert "Missing: 1 numbered batch." in shown.stdout


@pytest.mark.parametrize(("word", "code"), [("reconcile", 3), ("prune", 1)])
async def test_without_a_server_nothing_is_said_to_be_sound_and_nothing_is_deleted(
    word: str, code: int, run: Run, stage: Stage, met: UUID
) -> None:
    await old_entry(stage, batch(met, 0), "old")
    for variables in ({"REDIS_URL": AWAY}, {"DATABASE_URL": "postgresql://me:hunter2@127.0.0.1:1/noteflow"}):
        answer = await run(word, **variables)
        assert answer.returncode == code
        assert answer.stderr.startswith(f"{word}: ")
        assert "hunter2" not in answer.stderr
    assert await stage.ledger() == {"old": "applied"}


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
    left = await _entries(stage)
    if process.returncode:  # a fast machine may have been done already
        assert process.returncode == 130
        assert said.startswith("stopped; ")
        assert 0 < left < 30_000
    answer = await run("prune")
    assert answer.stdout.startswith(f"deleted: {left:,} row")
    assert await _entries(stage) == 0


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


def _all_of(terminal: int) -> str:
    shown = b""
    with suppress(OSError):  # how a terminal says that nobody writes to it any more
        while piece := os.read(terminal, 4096):
            shown += piece
    return shown.decode()


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


async def old_entry(stage: Stage, work: Any, job_id: str) -> None:
    """Finish a job, and let that have been forty days ago."""
    await stage.deliver(work, job_id)
    await stage.judge.ask(
        "UPDATE job_ledger SET committed_at = now() - interval '40 days' WHERE split_part(job_id, '@', 1) = $1", job_id
    )


async def letters(stage: Stage, met: UUID) -> None:
    """One of each kind: old and young, dealt with long ago, yesterday, or never."""
    for name, state, died, acted in (
        ("1", "replayed", 40, 39),
        ("2", "dropped", 40, 39),
        ("3", "dead", 40, None),
        ("4", "dropped", 40, 1),
        ("5", "replayed", 2, None),
    ):
        (row,) = await stage.judge.ask(
            "INSERT INTO dead_letters (job_id, queue, kind, meeting_id, reason, errors, tries, crashes, worker,"
            " died_at, state) VALUES ($1, 'q', 'k', $2, 'r', '[]', 1, 0, 'w', now() - $3 * interval '1 day', $4)"
            " RETURNING id",
            name, met, died, state,
        )  # fmt: skip
        if acted is not None:
            await stage.judge.ask(
                "INSERT INTO dead_letter_acts (dead_letter_id, act, actor, acted_at)"
                " VALUES ($1, $2, 'ada', now() - $3 * interval '1 day')",
                row["id"], state, acted,
            )  # fmt: skip


async def _entries(stage: Stage) -> int:
    number: int = (await stage.judge.ask("SELECT count(*) FROM job_ledger"))[0]["count"]
    return number


async def _fewer_than(stage: Stage, number: int) -> bool:
    return await _entries(stage) < number
