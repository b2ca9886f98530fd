"""Redis away in every way there is: the worker stays, says so once, and goes on where it was."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any, Protocol

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job
from arq.worker import func

from noteflow.infrastructure.queue.codec import job_deserializer
from tests.conftest import OwnRedis
from tests.integration.engine.jobs import Ctx, put, put_many, serving
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.embedded import EmbeddedRedis
from worker.engine import Gate, Options, Worker

PATIENCE = Options(command_timeout_s=0.5, lease_s=10.0, idle_poll_s=0.2)


class Start(Protocol):
    """Makes one of our workers on the test's own server, or through a proxy."""

    def __call__(self, functions: Any, url: str | None = None, options: Options = PATIENCE) -> Worker: ...


@pytest.fixture
def server(own_redis: OwnRedis) -> EmbeddedRedis:
    return own_redis(append_only=True, settings={"appendfsync": "always"})


@pytest.fixture
async def redis(server: EmbeddedRedis) -> AsyncIterator[ArqRedis]:
    pool = ArqRedis.from_url(server.url())
    yield pool
    await pool.aclose(close_connection_pool=True)


@pytest.fixture
async def start(server: EmbeddedRedis) -> AsyncIterator[Start]:
    made: list[Worker] = []

    def make(functions: Any, url: str | None = None, options: Options = PATIENCE) -> Worker:
        pool = ArqRedis.from_url(url or server.url())
        made.append(Worker(functions, redis_pool=pool, options=options, handle_signals=False, poll_delay=0.05))
        return made[-1]

    yield make
    for worker in made:
        await worker.close()


class Held:
    """A job that waits for the test."""

    def __init__(self) -> None:
        self.go_on = asyncio.Event()
        self.runs = 0

    async def __call__(self, ctx: Ctx) -> str:
        self.runs += 1
        await self.go_on.wait()
        return "held"

    @property
    def functions(self) -> list[Any]:
        async def hold(ctx: Ctx) -> str:
            return await self(ctx)

        async def fine(ctx: Ctx) -> str:
            return "fine"

        return [func(hold, name="hold"), func(fine, name="fine")]


@pytest.fixture
def held() -> Held:
    return Held()


async def result_of(redis: ArqRedis, job_id: str) -> Any:
    return await Job(job_id, redis, _deserializer=job_deserializer).result(timeout=10, poll_delay=0.02)


def said(caplog: pytest.LogCaptureFixture) -> tuple[int, int]:
    return caplog.text.count("redis is away"), caplog.text.count("redis is back")


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


async def test_a_full_server_loses_no_ending(server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held) -> None:
    await put(redis, "j", "hold")
    worker = start(held.functions)
    async with serving(worker):
        await eventually(lambda: held.runs == 1)
        await redis.config_set("maxmemory", "1")
        held.go_on.set()
        await eventually(lambda: worker.jobs_complete == 1)
        # An ending makes room, so it is accepted; a worker on a full server must be able to empty it.
        assert await result_of(redis, "j") == "held"
        await redis.config_set("maxmemory", "0")
        await put(redis, "next", "fine")
        assert await result_of(redis, "next") == "fine"


async def test_a_full_server_is_emptied_by_its_workers(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    await put_many(redis, 50, "fine")
    await redis.config_set("maxmemory", "1")
    worker = start(held.functions)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 50)
        await eventually(lambda: worker.health.excuses == ["redis is out of memory"])
        await redis.config_set("maxmemory", "0")
        worker.leases._next_beat = 0.0
        worker.leases.renew_soon()
        await eventually(lambda: worker.health.excuses == [])
    assert caplog.text.count("redis is out of memory") == 1


async def test_a_read_only_server_is_waited_for(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, caplog: pytest.LogCaptureFixture
) -> None:
    await put(redis, "j", "hold")
    worker = start(held.functions)
    async with serving(worker):
        await eventually(lambda: held.runs == 1)
        await redis.replicaof("127.0.0.1", "1")
        held.go_on.set()
        await eventually(lambda: worker.outage.lasts)
        await redis.replicaof("NO", "ONE")
        assert await result_of(redis, "j") == "held"
        await put(redis, "next", "fine")
        assert await result_of(redis, "next") == "fine"
    assert held.runs == 1


async def test_a_server_that_was_replaced_is_left_although_it_lives_on(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, own_redis: OwnRedis
) -> None:
    other = own_redis()
    async with Proxy(server.url()) as address, ArqRedis.from_url(other.url()) as successor:
        worker = start(held.functions, address.url, replace(PATIENCE, beat_s=0.3))
        async with serving(worker):
            await put(redis, "j", "fine")
            assert await result_of(redis, "j") == "fine"
            await redis.replicaof("127.0.0.1", "1")
            await eventually(lambda: worker.outage.lasts)
            address.lead_to(other.url())
            await put(successor, "j", "fine")
            assert await result_of(successor, "j") == "fine"
            await eventually(lambda: only_client(redis))
            await put(successor, "next", "fine")
            assert await result_of(successor, "next") == "fine"
        await worker.close()


async def test_an_ending_leaves_a_server_that_was_replaced_also_while_nothing_is_claimed(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held, own_redis: OwnRedis
) -> None:
    other = own_redis()
    async with Proxy(server.url()) as address:
        await put(redis, "j", "hold")
        worker = start(held.functions, address.url, replace(PATIENCE, beat_s=0.3, gate=Gate()))
        async with serving(worker):
            await eventually(lambda: held.runs == 1)
            worker.options.gate.close("postgresql")
            await redis.replicaof("127.0.0.1", "1")
            address.lead_to(other.url())
            held.go_on.set()
            await eventually(lambda: worker.jobs_complete == 1 and not worker.outage.lasts)
            await eventually(lambda: only_client(redis))
            worker.options.gate.open("postgresql")
        await worker.close()


async def only_client(redis: ArqRedis) -> bool:
    return len(await redis.client_list(_type="normal")) == 1


async def test_silently_dropped_flows_are_given_up(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    async with Proxy(server.url()) as proxy:
        await put(redis, "j", "hold")
        worker = start(held.functions, proxy.url)
        async with serving(worker):
            await eventually(lambda: held.runs == 1)
            proxy.hang()
            held.go_on.set()
            await eventually(lambda: worker.outage.lasts)
            await proxy.heal()
            assert await result_of(redis, "j") == "held"
            await put(redis, "next", "fine")
            assert await result_of(redis, "next") == "fine"
        assert held.runs == 1
        await worker.close()


async def test_an_idle_worker_whose_calls_are_dropped_finds_out_by_itself(
    server: EmbeddedRedis, redis: ArqRedis, start: Start, held: Held
) -> None:
    async with Proxy(server.url()) as proxy:
        worker = start(held.functions, proxy.url)
        async with serving(worker):
            await eventually(lambda: worker.idle)
            proxy.hang()
            await put(redis, "j", "fine")
            await proxy.heal()
            assert await result_of(redis, "j") == "fine"
        await worker.close()


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
