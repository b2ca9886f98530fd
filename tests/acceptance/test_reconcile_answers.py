"""What `reconcile` says of a meeting that nobody knows, and how much of the dead."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from noteflow.infrastructure.queue import keys
from tests.acceptance.jobs_console import JobsConsole
from tests.integration.inspection.ground import Ground

MISTYPED = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def jobs(database_url: str, redis_url: str) -> JobsConsole:
    """The commands, on empty servers."""
    return JobsConsole(database_url, redis_url)


def test_a_meeting_that_nobody_knows_is_not_said_to_be_sound(jobs: JobsConsole) -> None:
    jobs.arrange(lambda ground: ground.enqueue())
    shown = jobs.command("reconcile", "--meeting", MISTYPED)
    assert (shown.exit_code, shown.stdout.strip()) == (
        1,
        f"Meeting {MISTYPED} is not stored, and nobody has heard of a job that was asked for it.",
    )
    told = jobs.command("reconcile", "--meeting", MISTYPED, "--json")
    report = json.loads(told.stdout)
    assert (told.exit_code, report["meeting_known"], set(report["counts"].values())) == (1, False, {0})
    assert json.loads(jobs.command("reconcile", "--json").stdout)["meeting_known"] is None


async def applied_long_ago(ground: Ground) -> None:
    await ground.store_ending("old")
    await ground.sql("UPDATE job_ledger SET committed_at = now() - interval '9 days'")


async def dead_in_redis(ground: Ground, *, days_ago: int = 0) -> None:
    job_id = await ground.enqueue(ground.change())
    await ground.bury(job_id, "refused: wrong", "change_meeting_state")
    await ground.redis.zincrby(keys.DEAD_LETTERS, -86_400_000 * days_ago, job_id)


@pytest.mark.parametrize(
    ("arrange", "counts"),
    [
        (lambda ground: ground.store_meeting(), {}),
        (lambda ground: ground.ask_for(ground.ingestion()), {"waiting": 1}),
        (lambda ground: ground.enqueue(ground.change()), {"waiting": 1}),
        (lambda ground: ground.store_ending("done"), {"applied": 1}),
        (applied_long_ago, {}),
        (lambda ground: ground.store_letter("dead"), {"dead": 1}),
        (lambda ground: ground.store_letter("dead", state="dropped"), {}),
        (dead_in_redis, {"dead": 1}),
        (lambda ground: dead_in_redis(ground, days_ago=9), {}),
    ],
    ids=["stored", "outbox", "queue", "applied", "applied long ago", "dead", "dropped", "in Redis", "long in Redis"],
)
def test_a_meeting_of_which_there_is_any_trace_is_reported(
    jobs: JobsConsole, arrange: Callable[[Ground], Awaitable[Any]], counts: dict[str, int]
) -> None:
    async def arranged(ground: Ground) -> UUID:
        await arrange(ground)
        return ground.meeting

    meeting = jobs.arrange(arranged)
    answer = jobs.command("reconcile", "--meeting", str(meeting), "--json")
    report = json.loads(answer.stdout)
    assert (answer.exit_code, report["meeting_known"]) == (0, True)
    assert {state: number for state, number in report["counts"].items() if number} == counts


def test_of_many_dead_the_newest_are_shown_and_what_is_missing_stays_in_sight(jobs: JobsConsole) -> None:
    async def arranged(ground: Ground) -> UUID:
        for number in range(13):
            await ground.store_letter(f"dead-{number:02}")
        await ground.sql("UPDATE dead_letters SET died_at = now() - id * interval '1 s'")
        lost = await ground.enqueue_many(12)
        for job_id in lost:
            await ground.redis.delete(f"arq:job:{job_id}")
        return ground.meeting

    meeting = jobs.arrange(arranged)
    for limited, listing in (((), ""), (("--meeting", str(meeting)), f" --meeting {meeting}")):
        shown = jobs.command("reconcile", *limited)
        assert shown.exit_code == 4
        told = [line.split()[:2] for line in shown.stdout.splitlines() if line.startswith(("missing i", "dead dead-"))]
        assert [state for state, _ in told] == ["missing"] * 12 + ["dead"] * 10
        assert [job_id for state, job_id in told if state == "dead"] == [f"dead-{number:02}" for number in range(10)]
        assert f"\n… and 3 more → python -m worker jobs dead ls{listing}\n" in shown.stdout
    assert len(json.loads(jobs.command("reconcile", "--json").stdout)["jobs"]) == 25
