"""`reconcile` as an operator types it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tests.acceptance.burning import producer_for
from tests.acceptance.upkeep.ledger import old_entry
from tests.acceptance.upkeep.run import Run
from tests.integration.worker.stage import Stage, batch, move
from tests.waiting import eventually

if TYPE_CHECKING:
    from uuid import UUID

    from tests.acceptance.conftest import StartWorkers

AWAY = "redis://127.0.0.1:1/0"


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
        "postgresql_lost", "meeting_known", "has_unreadable",
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
