"""Many changes of one meeting: shuffled, repeated, with a gap, all at once."""

from __future__ import annotations

import random
from collections import Counter
from typing import TYPE_CHECKING

from noteflow.domain.commands import ChangeMeetingState
from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue.client import JobClient
from tests.chaos.scene import PATIENCE_S
from tests.waiting import eventually
from worker.demo.account import percentile

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.chaos.scene import Scene
    from tests.chaos.witness import Line

CHANGES = 100
GAP = 40


async def test_three_hundred_shuffled_and_tripled_changes_with_a_gap_are_applied_in_order_once_each(
    scene: Scene,
) -> None:
    changes = [scene.move() for _ in range(CHANGES)]
    missing = changes.pop(GAP - 1)
    deliveries = [(change, copy) for change in changes for copy in range(3)]
    random.Random(35).shuffle(deliveries)
    await scene.enqueue(*changes)
    async with JobClient.from_url(scene.redis_url) as jobs:
        for change, copy in deliveries:
            if copy:  # as a producer would who made a new id each time
                assert isinstance(change, ChangeMeetingState)
                await jobs.enqueue(change, job_id=f"change-{change.sequence}-copy-{copy}")

    with scene.workers(2):
        await eventually(lambda: _sequence(scene, GAP - 1), within_s=PATIENCE_S, every_s=0.1)
        await scene.enqueue(scene.batch())  # others flow
        await eventually(lambda: _segments(scene), within_s=PATIENCE_S, every_s=0.1)
        assert await _sequence(scene, GAP - 1)

        await scene.enqueue(missing)
        await scene.peace()

    effects = await scene.effects()
    (moves,) = effects.moves.values()
    assert [move.sequence for move in moves] == list(range(1, CHANGES + 1))
    assert effects.history is not None
    assert list(effects.history.values()) == [moves]
    # Of each three, whichever came first is applied; the others find it done, or overtaken.
    assert effects.ledger is not None
    outcomes = Counter(effects.ledger.values())
    assert outcomes["applied"] == CHANGES + 1
    assert outcomes["already_applied"] + outcomes["superseded"] == 2 * (CHANGES - 1)


async def test_a_hundred_simultaneous_changes_of_one_meeting_end_after_at_most_three_attempts_each(
    scene: Scene,
) -> None:
    with scene.workers(3):
        await scene.enqueue(scene.move())  # from here on, every change is a legal one
        await scene.peace()
        async with JobClient.from_url(scene.redis_url) as jobs:
            for number in range(CHANGES):
                state = MeetingState.RECORDING if number % 2 else MeetingState.STOPPED
                await jobs.enqueue(ChangeMeetingState(scene.meeting, state), job_id=f"change-{number}", defer_by=1.0)
        await scene.peace()

    lines = scene.account.read_on()
    attempts = Counter((line.job_id, line.pid) for line in lines if line.point == "attempt")
    assert len({job_id for job_id, _ in attempts}) == 1 + CHANGES
    assert max(attempts.values()) <= 3
    print(f"p99 {_p99_s(lines) * 1000:.0f} ms from when all were due, at most {max(attempts.values())} attempts")
    effects = await scene.effects()
    (moves,) = effects.moves.values()
    assert [move.version for move in moves] == list(range(2, len(moves) + 2))
    # Whatever order they came in, each change led to the other state, and every job has its outcome.
    assert [move.state for move in moves] == [("STOPPED", "RECORDING")[place % 2 == 0] for place in range(len(moves))]
    assert effects.ledger is not None
    assert len(effects.ledger) == 1 + CHANGES


def _p99_s(lines: Sequence[Line]) -> float:
    """Seconds from the first start of a change to the end of all but a hundredth of them."""
    changes = [line for line in lines if line.job_id.startswith("change-")]
    due_s = min(line.at_s for line in changes if line.point == "started")
    return percentile([line.at_s - due_s for line in changes if line.point == "ended"], 0.99) or 0.0


async def _sequence(scene: Scene, number: int) -> bool:
    return (await scene.effects()).meetings[str(scene.meeting)].sequence == number


async def _segments(scene: Scene) -> int:
    return len((await scene.effects()).texts)
