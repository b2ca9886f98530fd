"""What jobs and hooks find in their context, in both classes."""

from __future__ import annotations

from contextvars import ContextVar
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from arq.connections import ArqRedis, RedisSettings
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")

OF_THE_JOB = {"job_id", "job_try", "enqueue_time", "score"}


async def test_hooks_of_the_worker_know_the_worker_and_those_of_a_job_the_job(
    either: MakeEither, redis: ArqRedis
) -> None:
    seen: dict[str, set[str]] = {}

    def hook(name: str) -> Any:
        async def look(ctx: Ctx) -> None:
            seen[name] = set(ctx)
            ctx[name] = True

        return look

    async def work(ctx: Ctx) -> None:
        seen["job"] = set(ctx)
        ctx["job"] = True

    names = ("on_startup", "on_job_start", "on_job_end", "after_job_end", "on_shutdown")
    await must_enqueue(redis, "work")
    worker = either([func(work, name="work")], ctx={"mine": 1}, **{name: hook(name) for name in names})
    await worker.main()
    await worker.close()
    of_the_worker = {"mine", "redis", "on_startup"}
    assert seen == {
        "on_startup": {"mine", "redis"},
        "on_job_start": of_the_worker | OF_THE_JOB,
        "job": of_the_worker | OF_THE_JOB | {"on_job_start"},
        "on_job_end": of_the_worker | OF_THE_JOB | {"on_job_start", "job"},
        "after_job_end": of_the_worker | OF_THE_JOB | {"on_job_start", "job", "on_job_end"},
        "on_shutdown": of_the_worker,
    }


async def test_what_one_job_puts_into_its_context_no_other_finds(either: MakeEither, redis: ArqRedis) -> None:
    found: list[Any] = []

    async def put(ctx: Ctx) -> None:
        found.append(ctx.get("mine"))
        ctx["mine"] = ctx["job_id"]
        ctx["shared"].append(ctx["job_id"])

    shared: list[str] = []
    for job_id in ("a", "b"):
        await must_enqueue(redis, "put", _job_id=job_id)
    await either([func(put, name="put")], ctx={"shared": shared}, max_jobs=1).main()
    assert found == [None, None]
    assert sorted(shared) == ["a", "b"]


async def test_what_one_job_puts_into_a_context_variable_no_other_finds(either: MakeEither, redis: ArqRedis) -> None:
    of_the_worker, of_the_job = ContextVar("worker", default=""), ContextVar("job", default="")
    found: list[tuple[str, str]] = []

    async def begin(ctx: Ctx) -> None:
        of_the_worker.set("begun")

    async def put(ctx: Ctx) -> None:
        found.append((of_the_worker.get(), of_the_job.get()))
        of_the_job.set(ctx["job_id"])

    for _ in range(5):
        await must_enqueue(redis, "put")
    await either([func(put, name="put")], on_startup=begin, max_jobs=1).main()
    assert found == [("begun", "")] * 5


async def test_the_context_of_a_later_try_tells_which_it_is(either: MakeEither, redis: ArqRedis) -> None:
    seen: Ctx = {}

    async def look(ctx: Ctx) -> None:
        seen.update(ctx)

    earlier = datetime.now(UTC) - timedelta(seconds=3)
    await must_enqueue(redis, "look", _job_id="j", _job_try=4, _defer_until=earlier)
    await either([func(look, name="look")]).main()
    assert (seen["job_id"], seen["job_try"], seen["score"]) == ("j", 4, int(earlier.timestamp() * 1000 + 0.5))
    assert seen["enqueue_time"] > earlier
    assert seen["enqueue_time"].utcoffset() == timedelta(0)


async def test_the_pool_in_the_context_is_set_as_its_worker_is(
    either: MakeEither, redis: ArqRedis, redis_settings: RedisSettings
) -> None:
    async def parent(ctx: Ctx) -> None:
        await ctx["redis"].enqueue_job("answer", _job_id="child")
        assert 3_590_000 < await ctx["redis"].pttl("arq:job:child") <= 3_600_000

    job = await must_enqueue(redis, "parent", _queue_name="arq:other")
    worker = either(
        [func(parent, name="parent"), answer],
        redis_settings=redis_settings,
        queue_name="arq:other",
        expires_extra_ms=3_600_000,
    )
    assert await worker.run_check() == 2
    assert await job.result(poll_delay=0) is None


async def test_a_job_cannot_enqueue_itself_while_it_runs(either: MakeEither, redis: ArqRedis) -> None:
    async def again(ctx: Ctx) -> bool:
        return await ctx["redis"].enqueue_job("again", _job_id=ctx["job_id"]) is None

    job = await must_enqueue(redis, "again", _job_id="j")
    await either([func(again, name="again")]).main()
    assert await job.result(poll_delay=0) is True
