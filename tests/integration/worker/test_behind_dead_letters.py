"""What is parked behind a dead letter waits for what a person does with that, and then goes on by itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noteflow.infrastructure.persistence.dead_letter_acts import Replayed, drop_letter, replay_letter
from noteflow.infrastructure.queue.cutting import jobs_of, payload_of
from tests.integration.worker.letters import bury
from tests.integration.worker.stage import batch, move
from worker.outbox.giving_up import give_up_parked

if TYPE_CHECKING:
    from uuid import UUID

    from redis.asyncio import Redis

    from tests.integration.worker.stage import Stage
    from worker.dead_letters import LetterMover


async def _change_three_is_dead_and_four_and_five_are_parked(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> int:
    """Return the number of the dead letter."""
    await stage.deliver(move(met, "RECORDING", 1))
    await stage.deliver(move(met, "STOPPED", 2))
    await bury(redis, move(met, "RECORDING", 3), reason="bug: KeyError")
    await mover.move_some()
    for sequence, state in ((4, "STOPPED"), (5, "RECORDING")):
        await stage.patient_for(0.001).deliver(move(met, state, sequence), f"change-{sequence}")
    (letter,) = await stage.letters()
    return int(letter["id"])


async def _is_due_again(stage: Stage) -> None:
    await stage.judge.ask("UPDATE outbox SET due_at = now() - interval '1 s' WHERE state = 'parked'")


async def test_jobs_behind_a_dead_letter_outlive_their_time_and_go_on_when_it_is_replayed(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    letter = await _change_three_is_dead_and_four_and_five_are_parked(stage, met, redis, mover)
    for _ in range(2):
        assert await give_up_parked(stage.engine) == []
        await _is_due_again(stage)
    assert await replay_letter(stage.engine, letter, actor="ada") is Replayed.REPLAYED
    assert await give_up_parked(stage.engine) == []  # the replayed job is on its way
    while await stage.deliver_woken():
        await _is_due_again(stage)
        assert await give_up_parked(stage.engine) == []
    assert [sequence for _, _, sequence, _ in await stage.history(met)] == [1, 2, 3, 4, 5]
    assert await stage.outbox() == {}


async def test_jobs_behind_a_dead_letter_that_is_dropped_are_given_up(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    letter = await _change_three_is_dead_and_four_and_five_are_parked(stage, met, redis, mover)
    assert await give_up_parked(stage.engine) == []
    assert await drop_letter(stage.engine, letter, actor="ada")
    await _is_due_again(stage)
    assert {job_id for job_id, _ in await give_up_parked(stage.engine)} == {"change-4", "change-5"}


async def test_jobs_behind_a_dead_letter_wait_thirty_days_at_most(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await _change_three_is_dead_and_four_and_five_are_parked(stage, met, redis, mover)
    await stage.judge.ask("UPDATE outbox SET parked_at = parked_at - interval '30 days' WHERE job_id = 'change-4'")
    assert [job_id for job_id, _ in await give_up_parked(stage.engine)] == ["change-4"]
    assert await stage.outbox() == {"change-5": "parked"}


async def test_a_dead_letter_that_comes_later_or_of_another_meeting_holds_nothing_back(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    other = await stage.judge.new_meeting()
    await bury(redis, move(met, "STOPPED", 6))
    await bury(redis, move(other, "RECORDING", 1))
    await bury(redis, batch(met, 0))
    await mover.move_some()
    await stage.patient_for(0.001).deliver(move(met, "STOPPED", 2), "early")
    assert [job_id for job_id, _ in await give_up_parked(stage.engine)] == ["early"]


async def test_a_completion_waits_for_a_dead_batch(stage: Stage, met: UUID, redis: Redis, mover: LetterMover) -> None:
    await stage.deliver(move(met, "RECORDING", 1))
    await stage.deliver(move(met, "STOPPED", 2, expected_batches=1))
    await bury(redis, batch(met, 0, batch=1))
    await mover.move_some()
    assert (await stage.patient_for(0.001).deliver(move(met, "COMPLETED", 3), "completed")).startswith(
        "parked: 1 batch"
    )
    assert await give_up_parked(stage.engine) == []
    (letter,) = await stage.letters()
    assert await replay_letter(stage.engine, letter["id"], actor="ada") is Replayed.REPLAYED
    while await stage.deliver_woken():
        pass
    assert (await stage.judge.meetings())[met][0] == "COMPLETED"
    assert payload_of(jobs_of(batch(met, 0, batch=1))[0], 1_700_000_000_000) == letter["body"]
