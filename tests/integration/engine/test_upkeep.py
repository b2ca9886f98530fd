"""What a worker looks after beside its jobs: its record, cron ticks, the life of bodies, and what it stands on."""

from __future__ import annotations

import asyncio
import inspect
import os
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import arq.worker
import msgspec
import pytest
import redis.asyncio
from arq.connections import ArqRedis
from arq.cron import cron
from arq.worker import async_check_health, func

from noteflow.infrastructure.queue import keys
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, put, serving
from tests.waiting import eventually
from worker.engine import Options, compat, keeper


async def fine(ctx: Ctx) -> None:
    return


async def records(redis: ArqRedis) -> list[dict[str, Any]]:
    names = await redis.keys(keys.WORKER_PREFIX + "*")
    return [msgspec.json.decode(await redis.get(name) or b"{}") for name in names]


async def two_records(redis: ArqRedis) -> list[dict[str, Any]]:
    found = await records(redis)
    return found if len(found) == 2 else []


async def test_each_worker_writes_its_own_record_and_removes_only_that(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    one, two = (make_worker([fine], burst=False) for _ in range(2))
    async with serving(one):
        async with serving(two):
            found = await eventually(lambda: two_records(redis))
            assert {record["id"] for record in found} == {one.worker_id, two.worker_id}
            assert found[0]["pid"] == os.getpid()
            assert found[0]["functions"] == ["fine"]
            assert found[0]["ready"] is True
            await eventually(lambda: redis.exists("arq:queue:health-check"))
        await two.close()
        assert await redis.zrange(keys.WORKERS, 0, -1) == [one.worker_id.encode()]
        # `arq --check` goes on working, for one still lives.
        assert await redis.exists("arq:queue:health-check")
    await one.close()
    assert await redis.keys("*") == [b"arq:keeper"]


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")
async def test_arqs_health_check_is_content(redis: ArqRedis, redis_url: str, make_worker: MakeWorker) -> None:
    settings = arq.connections.RedisSettings.from_dsn(redis_url)
    assert await async_check_health(settings) == 1
    async with serving(make_worker([fine], burst=False)):
        await eventually(lambda: redis.exists("arq:queue:health-check"))
        assert await async_check_health(settings) == 0


async def test_a_record_tells_what_runs_also_while_the_loop_is_blocked(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    seen: list[int] = []

    async def block(ctx: Ctx) -> None:
        rounds = worker.leases.rounds
        while worker.leases.rounds < rounds + 2:
            time.sleep(0.01)
        seen.append(worker.leases.rounds)

    await put(redis, "j", "block")
    worker = make_worker([func(block, name="block")], burst=False, options=Options(beat_s=0.05))
    async with serving(worker):
        await eventually(lambda: seen)
        await eventually(lambda: worker.last_progress)
        shown = await eventually(lambda: _settled(redis))
    assert shown["complete"] == 1
    assert shown["last_progress"] is not None


async def _settled(redis: ArqRedis) -> dict[str, Any] | None:
    [record] = await records(redis)
    return record if record["complete"] and not record["running_count"] else None


async def test_a_tick_runs_once_however_late_a_worker_looks(redis: ArqRedis, make_worker: MakeWorker) -> None:
    ran: list[str] = []

    async def tick(ctx: Ctx) -> None:
        ran.append(ctx["job_id"])

    now = datetime.now(UTC)
    for _ in range(3):
        worker = make_worker(cron_jobs=[cron(tick, name="tick", month=1, day=1)], timezone=UTC)
        worker.cron_jobs[0].next_run = now - timedelta(seconds=5)
        await worker.run_cron(now - timedelta(seconds=4.5), 0.1)
        await worker.main()
    due_ms = int((now - timedelta(seconds=5)).timestamp() * 1000)
    assert [abs(int(job_id.rpartition(":")[2]) - due_ms) <= 1 for job_id in ran] == [True]


async def test_a_tick_that_redis_did_not_hear_of_is_tried_again(
    redis: ArqRedis, make_worker: MakeWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = make_worker(cron_jobs=[cron(fine, name="tick", hour=1)], timezone=UTC)
    due = datetime.now(UTC)
    worker.cron_jobs[0].next_run = due

    async def fail(*_: Any) -> None:
        raise ConnectionError("gone")

    with monkeypatch.context() as broken:
        broken.setattr("worker.engine.cron.run_script", fail)
        with pytest.raises(ConnectionError):
            await worker.run_cron(due, 1)
    assert worker.cron_jobs[0].next_run == due
    await worker.run_cron(due, 1)
    assert await redis.zcard(QUEUE) == 1


async def test_bodies_that_waited_most_of_a_day_no_longer_expire(redis: ArqRedis, make_worker: MakeWorker) -> None:
    now = time.time()
    for number in range(3):
        await redis.enqueue_job("fine", _job_id=f"old{number}", _defer_until=datetime.fromtimestamp(now - 80_000, UTC))
    await redis.enqueue_job("fine", _job_id="new")
    await redis.enqueue_job("fine", _job_id="chosen", _expires=60)
    await redis.enqueue_job("fine", _job_id="aborted", _defer_by=3600)
    await redis.zadd(QUEUE, {"aborted": 1})
    await redis.zadd(f"arq:leases:{QUEUE}", {"forgotten": (now - 80_000) * 1000, "held": (now + 5) * 1000})
    worker = make_worker([fine])
    assert await keeper.keep_bodies(worker) == 3
    assert await redis.zrange(f"arq:leases:{QUEUE}", 0, -1) == [b"held"]
    lives = [await redis.ttl(f"arq:job:{name}") for name in ("old0", "old1", "old2", "new", "chosen", "aborted")]
    assert [life == -1 for life in lives] == [True, True, True, False, False, True]
    # Once an hour in the whole fleet is enough.
    assert await keeper.keep_bodies(make_worker([fine])) == 0


async def test_a_retry_beyond_its_bodys_life_keeps_the_body(redis: ArqRedis, make_worker: MakeWorker) -> None:
    async def later(ctx: Ctx) -> None:
        raise arq.worker.Retry(defer=2 * 86_400)

    await redis.enqueue_job("later", _job_id="j")
    worker = make_worker([func(later, name="later")], burst=False)
    await worker.claim(1)
    await asyncio.gather(*worker.tasks.values())
    assert await redis.ttl("arq:job:j") == -1


def test_the_installed_arq_is_known() -> None:
    assert compat.differences("0.28.0") == compat.differences("0.26.3") == []


@pytest.mark.parametrize("version", ["0.26.1", "0.29.0", "1.0"])
def test_other_versions_of_arq_are_refused_by_name(version: str) -> None:
    [difference] = compat.differences(version)
    assert difference == f"version {version} is outside 0.26.3 … <0.29"


def test_an_arq_with_other_insides_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arq.worker.Worker, "start_jobs", lambda self: None)
    monkeypatch.setattr(arq.constants, "abort_jobs_ss", "arq:aborted")
    assert compat.differences("0.28.0") == [
        "arq.worker.Worker.start_jobs does not take (self, job_ids)",
        "arq.constants.abort_jobs_ss is not 'arq:abort'",
    ]


def test_a_redis_py_with_other_insides_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(redis.asyncio.Redis, "_disconnect_raise")
    monkeypatch.setattr(redis.asyncio, "ConnectionPool", dict)
    assert compat.differences("0.28.0") == [
        "redis.asyncio.client.Redis._disconnect_raise does not take (self, conn, error)",
        "redis.asyncio.ConnectionPool has no list of _available_connections",
    ]


def test_settings_of_arqs_workers_are_ours_too() -> None:
    from worker.engine import Worker

    theirs = set(inspect.signature(arq.worker.Worker).parameters)
    assert set(inspect.signature(Worker).parameters) == theirs | {"options"}
