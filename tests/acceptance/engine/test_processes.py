"""Deaths, stops and pauses of real worker processes."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from asyncio.subprocess import DEVNULL, Process

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job

from noteflow.infrastructure.queue.codec import job_deserializer
from tests.acceptance.engine.conftest import LEASE_S, Spawn
from tests.integration.engine.jobs import QUEUE, now_ms, put, put_many
from tests.waiting import eventually


async def ran(redis: ArqRedis, times: int) -> bool:
    return await length(redis) >= times


async def length(redis: ArqRedis) -> int:
    return int(await redis.execute_command("LLEN", "ran"))  # type: ignore[no-untyped-call]


async def exit_code(process: Process, within_s: float = 10.0) -> int:
    async with asyncio.timeout(within_s):
        return await process.wait()


async def leftovers(redis: ArqRedis) -> list[bytes]:
    return sorted(await redis.keys("arq:in-progress:*") + await redis.keys("arq:worker:*"))


async def test_after_kill_9_the_job_runs_elsewhere_within_the_lease_and_a_second(redis: ArqRedis, spawn: Spawn) -> None:
    victim = await spawn()
    await put(redis, "j", "hold")
    await eventually(lambda: ran(redis, 1))
    await spawn()
    await eventually(lambda: _workers(redis, 2))
    victim.kill()
    died = time.monotonic()
    await eventually(lambda: ran(redis, 2))
    assert time.monotonic() - died < LEASE_S + 1
    await redis.set("go", 1)
    assert await Job("j", redis, _deserializer=job_deserializer).result(timeout=5, poll_delay=0.02) == "held"
    # A death is no failure of the job: it is still its first try.
    assert await redis.lrange("ran", 0, -1) == [b"j 1", b"j 1"]  # type: ignore[misc]


async def test_after_kill_9_the_job_runs_before_thousands_that_are_due(redis: ArqRedis, spawn: Spawn) -> None:
    victim = await spawn()
    await put(redis, "j", "hold")
    await eventually(lambda: ran(redis, 1))
    await put_many(redis, 3000, "nap")
    due_ms = now_ms()
    await eventually(lambda: redis.keys("arq:result:*"))
    victim.kill()
    await spawn()
    await eventually(lambda: ran(redis, 2))
    # What was due before the job's lease was over still waits: all of it would have come first.
    assert await redis.zcount(QUEUE, "-inf", due_ms) > 500


async def _workers(redis: ArqRedis, number: int) -> bool:
    return int(await redis.zcard("arq:workers")) >= number


async def test_a_stopped_worker_hands_its_jobs_back_at_once_and_leaves_nothing(redis: ArqRedis, spawn: Spawn) -> None:
    worker = await spawn()
    await put(redis, "j", "hold")
    before = await redis.zscore(QUEUE, "j")
    await eventually(lambda: ran(redis, 1))
    worker.send_signal(signal.SIGTERM)
    assert await exit_code(worker) == 0
    assert await leftovers(redis) == []
    assert await redis.exists("arq:retry:j") == 0
    assert await redis.zscore(QUEUE, "j") == before


@pytest.mark.parametrize("deploys", [2, pytest.param(20, marks=pytest.mark.slow)])
async def test_many_deploys_during_one_long_job_do_not_fail_it(redis: ArqRedis, spawn: Spawn, deploys: int) -> None:
    await put(redis, "j", "hold")  # which has two tries
    for deploy in range(1, deploys + 1):
        worker = await spawn()
        await eventually(lambda deploy=deploy: ran(redis, deploy))  # type: ignore[misc]
        worker.send_signal(signal.SIGTERM)
        assert await exit_code(worker) == 0
    await redis.set("go", 1)
    await spawn()
    assert await Job("j", redis, _deserializer=job_deserializer).result(timeout=10, poll_delay=0.02) == "held"
    assert await redis.lrange("ran", 0, -1) == [b"j 1"] * (deploys + 1)  # type: ignore[misc]
    assert await redis.keys("arq:dead:*") == []


@pytest.mark.parametrize(("lease_s", "for_s"), [(0.6, 2.0), pytest.param(10.0, 30.0, marks=pytest.mark.slow)])
async def test_a_job_that_blocks_its_loop_for_longer_than_its_lease_keeps_it(
    redis: ArqRedis, spawn: Spawn, lease_s: float, for_s: float
) -> None:
    await spawn(lease_s=lease_s)
    await put(redis, "j", "block", for_s)
    await eventually(lambda: ran(redis, 1))
    await spawn(lease_s=lease_s)
    await eventually(lambda: _workers(redis, 2))
    await eventually(lambda: redis.exists("arq:result:j"), within_s=for_s + 10)
    assert await length(redis) == 1
    assert await redis.keys("arq:crashes:*") == []


async def test_arqs_command_finds_our_worker_healthy(redis: ArqRedis, redis_url: str, spawn: Spawn) -> None:
    async def check() -> int:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "arq", "tests.acceptance.engine.program.WorkerSettings", "--check"),
            env={**os.environ, "CHECKED_REDIS_URL": redis_url},
            stderr=DEVNULL,
            stdout=DEVNULL,
        )
        return await process.wait()

    assert await check() == 1
    await spawn()
    await eventually(lambda: redis.exists("arq:queue:health-check"))
    assert await check() == 0


async def test_a_stopped_worker_lets_its_jobs_finish_within_the_time_it_has(redis: ArqRedis, spawn: Spawn) -> None:
    worker = await spawn(wait_s=20)
    await put(redis, "j", "hold")
    await eventually(lambda: ran(redis, 1))
    worker.send_signal(signal.SIGTERM)
    await put(redis, "later", "hold")
    await redis.set("go", 1)
    assert await exit_code(worker) == 0
    assert await redis.exists("arq:result:j") == 1
    assert await leftovers(redis) == []
    assert await length(redis) == 1


async def test_a_stop_under_load_loses_nothing_and_runs_nothing_twice(redis: ArqRedis, spawn: Spawn) -> None:
    workers = [await spawn(wait_s=5), await spawn(wait_s=5)]
    await eventually(lambda: _workers(redis, 2))
    await put_many(redis, 3000, "count")
    await eventually(lambda: _done(redis, 200))
    for worker in workers:
        worker.send_signal(signal.SIGTERM)
    assert [await exit_code(worker) for worker in workers] == [0, 0]
    assert await leftovers(redis) == []
    done = int(await redis.execute_command("HLEN", "done"))  # type: ignore[no-untyped-call]
    assert done < 3000, "the load was over before the stop"
    assert len(await redis.keys("arq:result:*")) == done
    assert await redis.zcard(QUEUE) == 3000 - done
    assert set(await redis.hvals("done")) == {b"1"}  # type: ignore[misc]


async def _done(redis: ArqRedis, number: int) -> bool:
    return int(await redis.execute_command("HLEN", "done")) >= number  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("function", ["hold", "block"])
async def test_a_second_signal_ends_a_worker_now_even_if_a_job_blocks_its_loop(
    redis: ArqRedis, spawn: Spawn, function: str
) -> None:
    worker = await spawn(wait_s=60)
    await put(redis, "j", function)
    await eventually(lambda: ran(redis, 1))
    worker.send_signal(signal.SIGTERM)
    assert worker.stderr is not None
    await asyncio.wait_for(worker.stderr.readuntil(b"draining after SIGTERM"), 10)
    worker.send_signal(signal.SIGTERM)
    assert await exit_code(worker) == 128 + signal.SIGTERM


async def test_a_paused_worker_that_comes_back_changes_nothing(redis: ArqRedis, spawn: Spawn) -> None:
    zombie = await spawn(lease_s=1.0)
    await put(redis, "j", "hold")
    await eventually(lambda: ran(redis, 1))
    zombie.send_signal(signal.SIGSTOP)
    heir = await spawn(lease_s=1.0)
    await eventually(lambda: ran(redis, 2))
    owner = await redis.get("arq:in-progress:j")
    zombie.send_signal(signal.SIGCONT)
    assert zombie.stderr is not None
    await asyncio.wait_for(zombie.stderr.readuntil(b"lease was lost"), 10)
    assert await redis.get("arq:in-progress:j") == owner
    await redis.set("go", 1)
    assert await Job("j", redis, _deserializer=job_deserializer).result(timeout=5, poll_delay=0.02) == "held"
    assert await length(redis) == 2
    for worker in (zombie, heir):
        worker.send_signal(signal.SIGTERM)
        assert await exit_code(worker) == 0
