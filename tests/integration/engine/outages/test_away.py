"""A Redis that is killed, hung, or not there yet: the worker stays, says so once, and goes on where it was."""

from __future__ import annotations

import asyncio
import signal
import time
from dataclasses import replace

import pytest
from arq.connections import ArqRedis

from tests.integration.engine.jobs import put, put_many, serving
from tests.integration.engine.outages.conftest import PATIENCE, Held, Start, result_of, said
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis
from worker.engine import Gate, Options


async def test_a_result_that_comes_during_a_restart_is_recorded_and_nothing_runs_twice(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    await put(redis, "j", "hold")
    worker = start(held.functions)
    async with serving(worker):
        await eventually(lambda: held.runs == 1)
        await asyncio.to_thread(server.stop, "immediate")
        await eventually(lambda: worker.outage.lasts)
        assert any(excuse.startswith("redis is away") for excuse in worker.health.excuses)
        held.go_on.set()
        await eventually(lambda: worker.jobs_complete == 1)
        await asyncio.to_thread(server.start)
        assert await result_of(redis, "j") == "held"
        await put(redis, "next", "fine")
        assert await result_of(redis, "next") == "fine"
    assert held.runs == 1
    assert said(caplog) == (1, 1)
    assert worker.health.excuses == []


async def test_after_a_long_outage_leases_are_renewed_before_anybody_claims(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    options = Options(lease_s=0.5, command_timeout_s=0.2)
    await put(redis, "j", "hold")
    runner = start(held.functions, options=options)
    async with serving(runner):
        await eventually(lambda: held.runs == 1)
        async with serving(start(held.functions, options=options)) as _:
            await asyncio.to_thread(server.stop, "immediate")
            await eventually(lambda: runner.outage.since and time.monotonic() - runner.outage.since > 1.0)
            await asyncio.to_thread(server.start)
            await eventually(lambda: not runner.outage.lasts)
            await put(redis, "next", "fine")
            assert await result_of(redis, "next") == "fine"
            held.go_on.set()
            assert await result_of(redis, "j") == "held"
    assert held.runs == 1


async def test_a_hung_server_is_noticed_and_picked_up_again(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    await put(redis, "j", "hold")
    worker = start(held.functions)
    async with serving(worker):
        await eventually(lambda: held.runs == 1)
        server.kill(signal.SIGSTOP)
        try:
            held.go_on.set()
            await eventually(lambda: worker.outage.lasts)
        finally:
            server.kill(signal.SIGCONT)
        assert await result_of(redis, "j") == "held"
        await put(redis, "next", "fine")
        assert await result_of(redis, "next") == "fine"
    assert held.runs == 1
    assert said(caplog)[0] == 1


async def test_claims_that_a_hung_server_executes_late_take_no_job(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    await put_many(redis, 20, "fine", prefix="warm")
    worker = start(held.functions)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 20)
        server.kill(signal.SIGSTOP)
        try:
            # Enqueued by a producer whose call the server will find when it wakes, beside our claims of the meantime.
            late = asyncio.create_task(put_many(redis, 20, "fine"))
            worker.wanted.set()
            await eventually(lambda: worker.outage.lasts)
        finally:
            server.kill(signal.SIGCONT)
        await late
        await eventually(lambda: worker.jobs_complete == 40, within_s=5)
        assert worker.jobs_retried == worker.jobs_failed == 0
    assert await redis.keys("arq:crashes:*") == []


async def test_a_worker_that_starts_before_its_server_waits_for_it(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    await put(redis, "j", "fine")
    await asyncio.to_thread(server.stop)
    worker = start(held.functions)
    async with serving(worker):
        await eventually(lambda: worker.outage.lasts)
        await asyncio.to_thread(server.start)
        assert await result_of(redis, "j") == "fine"


async def test_a_server_that_forgets_its_scripts_is_taught_again(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    worker = start(held.functions)
    async with serving(worker):
        for number in range(3):
            await put(redis, f"j{number}", "fine")
            assert await result_of(redis, f"j{number}") == "fine"
            await redis.script_flush()


async def test_what_is_closed_stays_closed_and_resumes_at_once(redis: ArqRedis, start: Start, held: Held) -> None:
    worker = start(held.functions)
    gate = worker.options.gate
    gate.close("postgresql")
    gate.close("storage")
    async with serving(worker):
        await put(redis, "j", "fine")
        await eventually(lambda: worker.leases.rounds > 0)
        gate.open("storage")
        assert worker.health.excuses == ["waiting for postgresql"]
        assert worker.jobs_complete == 0
        gate.open("postgresql")
        assert await result_of(redis, "j") == "fine"


async def test_one_job_may_be_let_through_and_no_other(redis: ArqRedis, start: Start, held: Held) -> None:
    gate = Gate()
    worker = start(held.functions, options=replace(PATIENCE, gate=gate))
    gate.close("postgresql")
    await put_many(redis, 3, "fine")
    async with serving(worker):
        gate.let_one()
        await eventually(lambda: worker.jobs_complete == 1)
        assert gate.most(5) == 0
        gate.let_one()
        await eventually(lambda: worker.jobs_complete == 2)
        assert worker.health.excuses == ["waiting for postgresql"]
        assert await redis.zcard("arq:queue") == 1
        gate.open("postgresql")
        await eventually(lambda: worker.jobs_complete == 3)
