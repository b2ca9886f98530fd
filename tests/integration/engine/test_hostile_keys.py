"""No value under any key raises out of a script or a loop: good jobs flow, bad ones end, and readiness is the truth."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import pytest
from arq.worker import func
from redis.exceptions import ResponseError

from noteflow.infrastructure.queue import keys
from tests.hostile import every_key, every_value
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, Slow, put, serving
from tests.waiting import eventually
from worker.engine import Options, Worker

KEYS = every_key("victim")
THE_QUEUE = ("DEFAULT_QUEUE",)


async def fine(ctx: Ctx) -> str:
    return "fine"


async def fail(ctx: Ctx) -> None:
    raise ValueError("no")


def worker_of(make_worker: MakeWorker, slow: Slow, **options: Any) -> Worker:
    told = Options(lease_s=0.6, beat_s=0.2, idle_poll_s=0.05, unknown_function_grace_s=0.05, **options)
    functions = [fine, func(fail, name="fail"), func(slow.function.coroutine, name="slow")]
    return make_worker(functions, burst=False, options=told, allow_abort_jobs=True, health_check_interval=0.1)


def unforeseen(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [
        each.getMessage()
        for each in caplog.records
        if each.name == "worker.engine" and (each.exc_info or "broke off" in each.getMessage())
    ]


async def overwrite(redis: Any, key: str, put_value: Any) -> None:
    async with redis.pipeline(transaction=True) as pipe:
        pipe.delete(key)
        put_value(pipe, key)
        await pipe.execute()


async def ended(redis: Any, job_id: str) -> bool:
    """Tell whether a job has come to an end of any kind."""
    return not await redis.exists(f"arq:job:{job_id}") and await redis.zscore(QUEUE, job_id) is None


@pytest.mark.parametrize("name", [name for name in KEYS if name not in THE_QUEUE])
async def test_whatever_stands_under_a_key_the_jobs_flow(
    redis: Any, make_worker: MakeWorker, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    slow = Slow()
    worker = worker_of(make_worker, slow)
    key = every_key("victim", worker_id=worker.worker_id)[name]
    async with serving(worker):
        for number, (value, put_value) in enumerate(every_value().items()):
            jobs = {each: f"{each}{number}" for each in ("waiting", "strange", "running", "good", "bad")}
            await put(redis, jobs["running"], "slow")
            await eventually(partial(slow.begun.__contains__, jobs["running"]))
            await put(redis, jobs["waiting"], "fine", in_ms=60)
            await put(redis, jobs["strange"], "unheard of", in_ms=60)
            for victim in ("waiting", "strange", "running"):  # the key is the job's own, or one that all share
                own = key.replace("victim", jobs[victim])
                await overwrite(redis, own, put_value)
            slow.go_on.set()
            await put(redis, jobs["good"], "fine")
            await put(redis, jobs["bad"], "fail")
            for job_id in jobs.values():
                await eventually(partial(ended, redis, job_id))
            assert await redis.exists(f"arq:result:{jobs['good']}"), value
            assert await redis.type(f"arq:dead:letter:{jobs['bad']}") == b"hash", value
            assert await redis.zscore(keys.DEAD_LETTERS, jobs["bad"]), value
            assert worker.health.excuses == [], value
            await redis.delete(key)
            slow.go_on.clear()
    assert unforeseen(caplog) == []


@pytest.mark.parametrize("name", [name for name in KEYS if name not in THE_QUEUE])
async def test_a_worker_starts_over_whatever_stands_under_a_key(
    redis: Any, make_worker: MakeWorker, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    for number, put_value in enumerate(list(every_value().values())[::3]):
        await redis.flushdb()
        await put_value(redis, KEYS[name])
        if KEYS[name] == keys.job("victim"):
            await redis.zadd(QUEUE, {"victim": 1})
        else:
            await put(redis, "victim", "fine")
        await put(redis, f"good{number}", "fine")
        worker = worker_of(make_worker, Slow())
        async with serving(worker):
            await eventually(partial(redis.exists, f"arq:result:good{number}"))
            await eventually(partial(ended, redis, "victim"))
            assert worker.health.excuses == []
    assert unforeseen(caplog) == []


async def test_a_queue_that_is_none_makes_its_worker_not_ready_until_it_is_one(
    redis: Any, make_worker: MakeWorker
) -> None:
    worker = worker_of(make_worker, Slow(), more_queues=("low",))
    async with serving(worker):
        for value, put_value in every_value().items():
            if value == "a sorted set":
                continue
            await overwrite(redis, QUEUE, put_value)
            await eventually(
                lambda: worker.health.excuses == [f"redis holds something else than a queue under {QUEUE}"]
            )
            await put(redis, "lower", "fine", queue="low")
            await eventually(lambda: redis.exists("arq:result:lower"))
            await redis.delete(QUEUE, "arq:result:lower")
            await eventually(lambda: worker.health.excuses == [])


async def test_a_letter_is_written_once_and_counted_whatever_stands_in_its_way(
    redis: Any, make_worker: MakeWorker
) -> None:
    await redis.set(keys.DEAD_COUNTS, "abc")
    await redis.set(keys.DEAD_LETTERS, "abc")
    await put(redis, "bad", "fail")
    worker = worker_of(make_worker, Slow())
    async with serving(worker):
        await eventually(lambda: ended(redis, "bad"))
    assert worker.jobs_failed == 1
    assert await redis.hgetall(keys.DEAD_COUNTS) == {b"buried": b"1"}
    assert await redis.hgetall(keys.SET_ASIDE) == {b"arq:dead:counts": b"1", b"arq:dead:letters": b"1"}
    assert await redis.get("arq:set-aside:arq:dead:counts") == b"abc"


async def test_what_is_on_a_shelf_comes_back_although_its_shelf_was_lost(redis: Any, make_worker: MakeWorker) -> None:
    await redis.hset(keys.PAUSED, "function:fine", "look first")
    await put(redis, "shelved", "fine")
    worker = worker_of(make_worker, Slow())
    async with serving(worker):
        await eventually(lambda: redis.hexists(keys.SHELVES_PREFIX + QUEUE, "fine"))
        await redis.set(keys.SHELVES_PREFIX + QUEUE, "abc")
        await eventually(lambda: redis.exists(keys.SET_ASIDE))
        await redis.delete(keys.PAUSED)
        await eventually(lambda: redis.exists("arq:result:shelved"))


async def test_a_burst_does_not_take_what_is_no_queue_for_an_empty_one(redis: Any, make_worker: MakeWorker) -> None:
    await redis.set(QUEUE, "abc")
    with pytest.raises(ResponseError, match="WRONGTYPE"):
        await make_worker([fine]).main()


@pytest.mark.parametrize("name", [name for name in KEYS if name not in THE_QUEUE])
async def test_a_burst_ends_over_whatever_stands_under_a_key(redis: Any, make_worker: MakeWorker, name: str) -> None:
    for put_value in list(every_value().values())[::3]:
        await redis.flushdb()
        await put_value(redis, KEYS[name])
        await put(redis, "good", "fine")
        await make_worker([fine], allow_abort_jobs=True).main()
        assert await redis.exists("arq:result:good")
