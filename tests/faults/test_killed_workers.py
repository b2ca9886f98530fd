"""kill -9 at an exact point of a job: somebody else does it, and once."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import pytest

from tests.chaos.figures import figures_of

if TYPE_CHECKING:
    from tests.chaos.scene import Scene
    from tests.chaos.witness import Point


@pytest.mark.parametrize("point", ["committing", "committed"])
async def test_a_job_whose_worker_is_killed_around_its_commit_is_done_once_by_another(
    scene: Scene, point: Point
) -> None:
    trap = scene.trap(point, signal.SIGKILL)
    ids = await scene.enqueue(*(scene.batch() for _ in range(8)), *(scene.move() for _ in range(4)))

    with scene.workers(2) as pids:
        dead = await scene.caught(trap)
        await scene.peace()
        await scene.ended(*ids)

    lines = scene.account.read_on()
    (survivor,) = set(pids) - {dead}
    last_of_dead = {line.job_id: line.point for line in lines if line.pid == dead and line.point != "born"}
    torn = [job for job, last in last_of_dead.items() if last != "ended"]
    assert torn
    assert all(survivor in scene.account.passed("ended", job) for job in torn)
    assert figures_of(lines, {}).reruns >= len(torn)
    verdict = await scene.verdict()
    assert verdict.is_clean, verdict.crimes
