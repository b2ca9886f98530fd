"""Results: how long they live, and in which codec, in both classes."""

from __future__ import annotations

import pickle
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import msgpack  # type: ignore[import-untyped]
import pytest
from arq.connections import ArqRedis
from arq.jobs import JobStatus, ResultNotFound, SerializationError
from arq.worker import func

from tests.integration.engine.conftest import MakeEither
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import answer, counters, lines_of, must_enqueue

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


@dataclass(frozen=True)
class Thing:
    """What is no plain data."""

    number: int


async def echo(ctx: Ctx, *args: Any, **kwargs: Any) -> Any:
    return [*args, kwargs]


@pytest.mark.parametrize(
    ("of_function", "of_worker", "life_s"),
    [
        ({}, {}, 3600),
        ({"keep_result": 7}, {}, 7),
        ({"keep_result": timedelta(minutes=2)}, {}, 120),
        ({"keep_result_forever": True}, {}, -1),
        ({"keep_result": 7, "keep_result_forever": True}, {}, -1),
        ({}, {"keep_result": 9}, 9),
        ({}, {"keep_result_forever": True}, -1),
        ({"keep_result_forever": False}, {"keep_result_forever": True}, 3600),
        ({"keep_result": 7}, {"keep_result": 0}, 7),
    ],
)
async def test_results_live_as_long_as_asked(
    either: MakeEither, redis: ArqRedis, of_function: Any, of_worker: Any, life_s: int
) -> None:
    await must_enqueue(redis, "answer", _job_id="j")
    await either([func(answer, name="answer", **of_function)], **of_worker).main()
    assert await redis.ttl("arq:result:j") in (life_s, life_s - 1)


async def test_a_result_of_no_life_is_not_kept(either: MakeEither, redis: ArqRedis) -> None:
    job = await must_enqueue(redis, "answer", _job_id="j")
    await either([func(answer, name="answer", keep_result=0)]).main()
    with pytest.raises(ResultNotFound):
        await job.result(poll_delay=0)


async def test_a_result_that_cannot_be_written_is_said_to_be_so(
    either: MakeEither, redis: ArqRedis, caplog: pytest.LogCaptureFixture
) -> None:
    async def local(ctx: Ctx) -> Any:
        class Private:
            pass

        return Private()

    job = await must_enqueue(redis, "local", _job_id="j")
    await either([func(local, name="local")]).main()
    info = await job.result_info()
    assert info is not None
    assert (info.success, info.result) == (False, "unable to serialize result")
    assert "error serializing result of j:local" in lines_of(caplog)


async def test_a_worker_and_its_pool_may_have_a_codec_of_their_own(either: MakeEither, redis: ArqRedis) -> None:
    redis.job_serializer, redis.job_deserializer = msgpack.packb, msgpack.unpackb
    job = await must_enqueue(redis, "echo", 1)
    await either([echo], job_serializer=msgpack.packb, job_deserializer=msgpack.unpackb).main()
    assert await job.result(poll_delay=0) == [1, {}]


async def test_a_failure_that_the_codec_cannot_hold_is_said_to_be_one(either: MakeEither, redis: ArqRedis) -> None:
    async def fail(ctx: Ctx) -> None:
        raise ValueError("no good")

    redis.job_serializer, redis.job_deserializer = msgpack.packb, msgpack.unpackb
    job = await must_enqueue(redis, "fail")
    worker = either([func(fail, name="fail")], job_serializer=msgpack.packb, job_deserializer=msgpack.unpackb)
    await worker.main()
    assert counters(worker) == (0, 1, 0)
    with pytest.raises(SerializationError, match="unable to serialize result"):
        await job.result(poll_delay=0)


async def test_with_the_codec_that_arq_has_by_default_a_job_may_be_given_anything(
    either: MakeEither, redis: ArqRedis
) -> None:
    job = await must_enqueue(redis, "echo", JobStatus.queued, of=Thing(1))
    await either([echo], job_serializer=pickle.dumps, job_deserializer=pickle.loads).main()
    assert await job.result(poll_delay=0) == [JobStatus.queued, {"of": Thing(1)}]


async def test_who_is_told_how_to_read_and_not_how_to_write_pickles(either: MakeEither, redis: ArqRedis) -> None:
    job = await must_enqueue(redis, "echo", Thing(1))
    await either([echo], job_deserializer=pickle.loads).main()
    assert await job.result(poll_delay=0) == [Thing(1), {}]


async def test_a_job_may_return_anything(either: MakeEither, redis: ArqRedis) -> None:
    async def make(ctx: Ctx) -> Thing:
        return Thing(2)

    job = await must_enqueue(redis, "make")
    await either([func(make, name="make")]).main()
    assert await job.result(poll_delay=0) == Thing(2)


async def test_a_job_in_a_foreign_codec_fails(either: MakeEither, redis: ArqRedis) -> None:
    redis.job_serializer = msgpack.packb
    await must_enqueue(redis, "answer")
    worker = either([answer])
    await worker.main()
    assert counters(worker) == (0, 1, 0)
