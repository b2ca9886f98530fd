"""What became of the jobs of one meeting, and which numbered batches nobody has."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import UUID

from tests.integration.reconcile.looking import ask, enqueue, examined, states
from tests.integration.worker.letters import bury
from tests.integration.worker.stage import Stage, batch, move
from worker.reconcile import JobState

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from worker.dead_letters import LetterMover


async def test_for_one_meeting_every_job_is_told_and_no_other_meetings(stage: Stage, met: UUID, redis: Redis) -> None:
    other = await stage.judge.new_meeting()
    await stage.deliver(batch(met, 0), "done")
    await stage.deliver(batch(other, 0), "done elsewhere")
    mine = await enqueue(redis, batch(met, 1))
    foreign = await enqueue(redis, batch(met, 2), "with an id of its own")
    await enqueue(redis, batch(other, 1))
    await ask(stage, redis, batch(other, 2))
    report = await examined(stage, redis, meeting_id=met)
    assert states(report) == {"done": "applied", mine: "waiting", foreign: "waiting"}
    assert report.counts[JobState.APPLIED] == 1


async def test_numbered_batches_that_nobody_has_are_named_apart_from_those_on_their_way(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await stage.deliver(move(met, "RECORDING", 1))
    await stage.deliver(move(met, "STOPPED", 2, expected_batches=7))
    await stage.deliver(batch(met, 10, batch=1))
    await ask(stage, redis, batch(met, 20, batch=2))
    await enqueue(redis, batch(met, 30, batch=3))
    await bury(redis, batch(met, 40, batch=4))
    await mover.move_some()
    await stage.deliver(batch(met, 50, batch=6))

    (finding,) = (await examined(stage, redis)).batches
    assert (finding.meeting_id, finding.expected) == (met, 7)
    assert (finding.missing, finding.dead, finding.on_the_way) == ([4, 5, 7], [4], [2, 3])


async def test_without_a_number_of_expected_batches_those_below_the_highest_are_missed(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    for number in (1, 2, 5):
        await stage.deliver(batch(met, number * 10, batch=number))
    whole = await stage.judge.new_meeting()
    await stage.deliver(batch(whole, 0, batch=1))
    (finding,) = (await examined(stage, redis)).batches
    assert (finding.meeting_id, finding.expected, finding.missing) == (met, None, [3, 4])
    assert (await examined(stage, redis, meeting_id=whole)).batches == []
