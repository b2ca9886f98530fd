"""Numbered batches: a meeting is completed when they are all there, and says by name which are not."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from tests.integration.worker.relays import relaying
from tests.integration.worker.stage import Stage, batch, move
from tests.waiting import eventually
from worker.outbox.giving_up import give_up_parked

if TYPE_CHECKING:
    from redis.asyncio import Redis


@pytest.fixture
async def stopped(stage: Stage, met: UUID) -> UUID:
    """A meeting that has stopped, and expects three batches."""
    await stage.deliver(move(met, "RECORDING", 1))
    await stage.deliver(move(met, "STOPPED", 2, expected_batches=3))
    return met


async def test_completion_waits_for_every_batch_and_is_woken_by_the_last(stage: Stage, stopped: UUID) -> None:
    assert await stage.deliver(batch(stopped, 0, batch=2)) == "applied"
    assert await stage.deliver(move(stopped, "COMPLETED", 3)) == f"parked: 2 batches of meeting {stopped} (1, 3)"
    assert await stage.deliver(batch(stopped, 10, batch=3)) == "applied"
    assert await stage.deliver_woken() == 0, "woken before the last"
    assert await stage.deliver(batch(stopped, 20, batch=1)) == "applied"
    assert await stage.deliver_woken() == 1
    assert (await stage.judge.meetings())[stopped] == ("COMPLETED", 4, 3)


async def test_a_batch_is_there_when_all_its_parts_are(stage: Stage, stopped: UUID) -> None:
    for number in (1, 3):
        await stage.deliver(batch(stopped, number * 10, batch=number))
    for part in (1, 3):
        await stage.deliver(batch(stopped, 100 + part, batch=2, part=part, parts=3))
    assert await stage.deliver(move(stopped, "COMPLETED", 3)) == f"parked: 1 batch of meeting {stopped} (2)"
    await stage.deliver(batch(stopped, 102, batch=2, part=2, parts=3))
    assert await stage.deliver_woken() == 1
    assert (await stage.judge.meetings())[stopped][0] == "COMPLETED"


async def test_a_batch_that_comes_again_counts_once(stage: Stage, stopped: UUID) -> None:
    for job_id in ("one", "two", "three"):
        await stage.deliver(batch(stopped, 0, batch=1), job_id)
    assert (await stage.deliver(move(stopped, "COMPLETED", 3))).startswith("parked: 2 batches")


@pytest.mark.parametrize("expected", [None, 0])
async def test_a_meeting_that_expects_nothing_is_completed_at_once(
    stage: Stage, met: UUID, expected: int | None
) -> None:
    await stage.deliver(move(met, "RECORDING", 1))
    await stage.deliver(move(met, "STOPPED", 2, expected_batches=expected))
    assert await stage.deliver(move(met, "COMPLETED", 3)) == "applied"


async def test_past_the_deadline_the_letter_names_the_batches_that_are_missing_then(
    stage: Stage, stopped: UUID
) -> None:
    assert (await stage.patient_for(0.001).deliver(move(stopped, "COMPLETED", 3))).endswith("(1, 2, 3)")
    await stage.deliver(batch(stopped, 0, batch=2))
    ((_, reason),) = await give_up_parked(stage.engine)
    assert reason.startswith(f"premature: 2 batches of meeting {stopped} (1, 3) did not come within ")


async def test_a_letter_that_would_name_too_many_batches_names_the_first_ten(stage: Stage, met: UUID) -> None:
    await stage.deliver(move(met, "RECORDING", 1))
    await stage.deliver(move(met, "STOPPED", 2, expected_batches=40))
    parked = await stage.patient_for(0.001).deliver(move(met, "COMPLETED", 3))
    ((_, reason),) = await give_up_parked(stage.engine)
    named = f"40 batches of meeting {met} (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, …)"
    assert parked == f"parked: {named}"
    assert reason.startswith(f"premature: {named} did not come within ")


async def test_the_alarm_is_a_line_of_the_log_that_says_error_and_names_the_batches(
    stage: Stage, stopped: UUID, redis: Redis
) -> None:
    await stage.patient_for(0.001).deliver(move(stopped, "COMPLETED", 3))
    with capture_logs() as lines:
        async with relaying(stage.engine, redis, rest_s=0.1):
            await eventually(lambda: any(line["event"] == "job.dead" for line in lines))
    (alarm,) = [line for line in lines if line["event"] == "job.dead"]
    assert alarm["log_level"] == "error"
    assert f"3 batches of meeting {stopped} (1, 2, 3)" in alarm["reason"]


async def test_a_parked_completion_that_makes_no_sense_any_more_is_told_so(stage: Stage, stopped: UUID) -> None:
    await stage.deliver(move(stopped, "COMPLETED"))
    assert await stage.deliver(move(stopped, "ERROR")) == "applied"
    assert await stage.deliver_woken() == 1
    assert "job.dead" in [line["event"] for line in stage.log.entries]


async def test_segments_stored_after_completion_are_marked_late_and_no_others(stage: Stage, met: UUID) -> None:
    await stage.deliver(batch(met, 0))
    for sequence, state in enumerate(("RECORDING", "STOPPED", "COMPLETED"), start=1):
        await stage.deliver(move(met, state, sequence))
    assert await stage.deliver(batch(met, 10)) == "applied"
    assert await stage.deliver(batch(met, 0, revision=1)) == "applied"
    rows = await stage.judge.ask("SELECT segment_id, late FROM segments ORDER BY segment_id")
    assert [tuple(row) for row in rows] == [(0, True), (10, True)]
    assert await stage.deliver(batch(met, 0)) == "already_applied"
