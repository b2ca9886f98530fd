"""Whatever happens to Redis or to the way there, the same worker processes go on and nothing is lost or doubled."""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import pytest
from redis.asyncio import Redis

from tests.chaos.scene import PATIENCE_S, Scene
from tests.processes import alive
from tests.proxy import Proxy
from tests.waiting import eventually

if TYPE_CHECKING:
    from pathlib import Path

    from tests.conftest import OwnRedis
    from tests.proxy import When
    from worker.embedded import EmbeddedRedis

JOBS = 60


async def test_workers_outlive_a_redis_that_is_killed_while_they_are_idle_and_while_they_are_busy(
    database_url: str, own_redis: OwnRedis, tmp_path: Path
) -> None:
    server = own_redis(append_only=True, settings={"appendfsync": "always"})
    scene = Scene(database_url, server.url(), tmp_path)
    await scene.begin()
    with scene.workers(2) as pids:
        await _work(scene, jobs=2)
        await scene.peace()  # idle from here on
        await _restart(server)
        ids = await _work(scene, jobs=JOBS)
        await eventually(lambda: scene.account.passed("started", ids[0]), within_s=PATIENCE_S)
        await _restart(server)
        await _work(scene, jobs=2)
        await scene.peace()
        assert all(alive(pid) for pid in pids)

    verdict = await scene.verdict()
    assert verdict.is_clean, verdict.crimes


async def test_workers_outlive_having_all_their_clients_killed_every_50_ms_for_4_s(
    database_url: str, own_redis: OwnRedis, tmp_path: Path
) -> None:
    server = own_redis()
    scene = Scene(database_url, server.url(), tmp_path)
    await scene.begin()
    with scene.workers(2) as pids:
        ids = await _work(scene, jobs=JOBS)
        await eventually(lambda: scene.account.passed("started", ids[0]), within_s=PATIENCE_S)
        async with Redis.from_url(server.url()) as admin:
            killed = 0
            for _ in range(80):
                killed += await admin.execute_command("CLIENT", "KILL", "SKIPME", "yes")
                await asyncio.sleep(0.05)  # the fault itself, not a wait for something
        assert killed >= 2 * len(pids)
        await _work(scene, jobs=2)
        await scene.peace()
        assert all(alive(pid) for pid in pids)

    verdict = await scene.verdict()
    assert verdict.is_clean, verdict.crimes


@pytest.mark.parametrize("when", ["before", "after"])
async def test_a_connection_cut_at_the_claim_or_at_the_ack_leaves_no_job_behind(scene: Scene, when: When) -> None:
    (first,) = await scene.enqueue(scene.batch())
    async with Proxy(scene.redis_url) as proxy:
        claim = proxy.on(b"arq:queue", "reset", when=when)
        with scene.workers(1, redis_url=proxy.url) as pids:
            await scene.ended(first)
            await scene.peace()
            (second,) = await scene.enqueue(scene.move())
            ack = proxy.on(second.encode(), "reset", when=when)  # the worker's first word about this job
            await scene.peace()
            assert all(alive(pid) for pid in pids)
        assert (claim.done, ack.done) == (1, 1)

    verdict = await scene.verdict()
    assert verdict.is_clean, verdict.crimes


@pytest.mark.slow
async def test_a_worker_whose_way_to_redis_falls_silent_finds_another(scene: Scene) -> None:
    async with Proxy(scene.redis_url) as proxy:
        with scene.workers(1, redis_url=proxy.url) as pids:
            trap = scene.trap("committing", signal.SIGSTOP)
            ids = await _work(scene, jobs=10)
            pid = await scene.caught(trap)
            proxy.hang()  # busy, and with the lease's thread and the wake connection open
            scene.resume(pid)
            await scene.ended(ids[0])
            await proxy.heal()
            await _work(scene, jobs=2)
            await scene.peace()
            assert all(alive(pid) for pid in pids)

    verdict = await scene.verdict()
    assert verdict.is_clean, verdict.crimes


async def _work(scene: Scene, *, jobs: int) -> list[str]:
    return await scene.enqueue(*(scene.move() if each % 4 == 1 else scene.batch() for each in range(jobs)))


async def _restart(server: EmbeddedRedis) -> None:
    await asyncio.to_thread(server.kill, signal.SIGKILL)
    await asyncio.to_thread(server.start)
