"""SIGSTOP past the lease: a zombie comes back and changes nothing."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from noteflow.infrastructure.queue import keys
from tests.chaos.scene import PATIENCE_S
from tests.waiting import eventually

if TYPE_CHECKING:
    from noteflow.domain.commands import Command
    from tests.chaos.scene import Scene
    from tests.chaos.witness import Point

SHORT = {
    "DATABASE_LOCK_TIMEOUT_S": "0.5",
    "DATABASE_COMMAND_TIMEOUT_S": "1",
    "DATABASE_POOL_TIMEOUT_S": "0.5",
    "RETRY_BUDGET_S": "1",
    "JOB_TIMEOUT_S": "3",
}


@pytest.mark.parametrize(("kind", "point"), [("move", "committing"), ("batch", "committed")])
async def test_a_worker_that_slept_past_its_lease_changes_nothing_when_it_wakes(
    scene: Scene, kind: str, point: Point
) -> None:
    trap = scene.trap(point, signal.SIGSTOP)
    (job,) = await scene.enqueue(_command(scene, kind))

    with scene.workers(2) as pids:
        zombie = await scene.caught(trap)
        (successor,) = set(pids) - {zombie}
        await eventually(lambda: scene.account.passed("ended", job) == [successor], within_s=PATIENCE_S)
        await scene.peace()
        before = await scene.effects()
        left = await _left_of(scene, job)

        scene.resume(zombie)
        await eventually(lambda: scene.account.passed("ended", job) == [successor, zombie], within_s=PATIENCE_S)
        # A job that the zombie does to its end shows that it has got over it.
        more = await scene.enqueue(*(_command(scene, kind) for _ in range(4)))
        await scene.ended(*more)
        await scene.peace()

    verdict = await scene.verdict()
    assert verdict.is_clean, verdict.crimes
    assert (await scene.effects()).writes.items() >= before.writes.items()
    assert await _left_of(scene, job) == left


async def test_a_job_whose_only_worker_slept_past_the_jobs_timeout_is_run_again(scene: Scene) -> None:
    trap = scene.trap("committing", signal.SIGSTOP)
    jobs = await scene.enqueue(scene.batch(), scene.move())

    with scene.workers(1, **SHORT) as pids:
        await scene.caught(trap)
        await asyncio.sleep(float(SHORT["JOB_TIMEOUT_S"]) + 1.0)  # the fault itself: nothing can tell when it is over
        scene.resume(pids[0])
        await scene.ended(*jobs)
        await scene.peace()

    assert "CancelledError" in [line.detail for line in scene.account.read_on() if line.point == "ended"]
    verdict = await scene.verdict()
    assert verdict.is_clean, verdict.crimes


async def test_the_same_job_delivered_three_times_two_of_them_at_once_is_applied_once(scene: Scene) -> None:
    jobs = await scene.enqueue(scene.batch(), scene.move())
    bodies = [await scene.body(job) for job in jobs]

    with scene.workers(2) as pids:
        trap = scene.trap("committing", signal.SIGSTOP)
        first = await scene.caught(trap)
        trap = scene.trap("committing", signal.SIGSTOP)
        second = await scene.caught(trap)
        assert {first, second} == set(pids)
        for pid in pids:
            scene.resume(pid)
        await scene.ended(*jobs)
        await scene.peace()

        for job, body in zip(jobs, bodies, strict=True):
            await scene.deliver_again(job, body)
        await scene.peace()

    assert max(len(scene.account.passed("started", job)) for job in jobs) >= 3
    verdict = await scene.verdict()
    assert verdict.is_clean, verdict.crimes


def _command(scene: Scene, kind: str) -> Command:
    return scene.batch() if kind == "batch" else scene.move()


async def _left_of(scene: Scene, job: str) -> dict[str, object]:
    """What Redis holds of a job."""
    async with Redis.from_url(scene.redis_url) as redis:
        names = (keys.job(job), keys.in_progress(job), keys.retry(job), keys.result(job))
        return {name: await redis.get(name) for name in names}
