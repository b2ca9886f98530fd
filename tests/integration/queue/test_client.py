"""What is enqueued is in Redis once, as stock Arq writes it, and the answer says so."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job, JobStatus
from arq.worker import Worker, func
from redis.asyncio import Redis

from noteflow.domain.commands import ChangeMeetingState, Command
from noteflow.domain.errors import InvalidValue
from noteflow.domain.value_objects import MeetingState
from noteflow.infrastructure.queue.answers import AlreadyQueued, Enqueued
from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.codec import job_deserializer, job_serializer
from noteflow.infrastructure.queue.wire import command_from, kwargs_of
from tests.unit.queue.commands import MEETING, ingest

RECORDING = ChangeMeetingState(MEETING, MeetingState.RECORDING)
NUMBERED = ChangeMeetingState(MEETING, MeetingState.RECORDING, sequence=1)


async def redis_now_ms(redis: Redis) -> float:
    seconds, microseconds = await redis.time()
    return float(seconds * 1000 + microseconds / 1000)


async def end(redis: Redis, job_id: str) -> None:
    """What any worker leaves of a job that has ended."""
    await redis.set(f"arq:result:{job_id}", "{}", ex=3_600)
    await redis.delete(f"arq:job:{job_id}")
    await redis.zrem("arq:queue", job_id)


async def test_a_command_is_written_as_arq_writes_it_and_never_expires(jobs: JobClient, redis: Redis) -> None:
    before_ms = await redis_now_ms(redis)
    answer = await jobs.enqueue(NUMBERED)
    after_ms = await redis_now_ms(redis)

    assert answer == Enqueued(f"change_meeting_state:{MEETING}:1:RECORDING", (answer.job_id,))
    payload = json.loads(await redis.get(f"arq:job:{answer.job_id}"))
    enqueued_ms = payload.pop("et")
    assert payload == {"t": None, "f": "change_meeting_state", "a": [], "k": kwargs_of(NUMBERED)}
    assert int(before_ms) <= enqueued_ms <= after_ms
    assert await redis.zrange("arq:queue", 0, -1, withscores=True) == [(answer.job_id, enqueued_ms)]
    assert await redis.ttl(f"arq:job:{answer.job_id}") == -1


async def test_stock_arq_reads_what_was_enqueued(jobs: JobClient, arq_pool: ArqRedis) -> None:
    answer = await jobs.enqueue(ingest(3))

    job = Job(answer.job_id, arq_pool, _deserializer=job_deserializer)
    assert await job.status() is JobStatus.queued
    info = await job.info()
    assert info is not None
    assert info.function == "ingest_segments"
    assert command_from(info.function, info.args, info.kwargs) == ingest(3)
    (queued,) = await arq_pool.queued_jobs()
    assert queued.job_id == answer.job_id


async def test_a_stock_worker_runs_what_was_enqueued(jobs: JobClient, arq_pool: ArqRedis) -> None:
    async def ingest_segments(ctx: dict[str, Any], meeting_id: str, segments: list[dict[str, Any]]) -> int:
        return len(segments)

    answer = await jobs.enqueue(ingest(3))
    worker = Worker(
        functions=[func(ingest_segments, name="ingest_segments")],
        redis_pool=arq_pool,
        burst=True,
        poll_delay=0,
        handle_signals=False,
        job_serializer=job_serializer,
        job_deserializer=job_deserializer,
    )
    await worker.main()

    assert await Job(answer.job_id, arq_pool, _deserializer=job_deserializer).result(timeout=5) == 3
    assert isinstance(await jobs.enqueue(ingest(3)), AlreadyQueued)


async def test_what_stock_arq_enqueued_under_an_id_is_already_queued(jobs: JobClient, arq_pool: ArqRedis) -> None:
    await arq_pool.enqueue_job("change_meeting_state", _job_id="mine", **kwargs_of(RECORDING))

    assert await jobs.enqueue(RECORDING, job_id="mine") == AlreadyQueued("mine", ("mine",))


async def test_saying_it_twice_enqueues_it_once(jobs: JobClient, redis: Redis) -> None:
    first = await jobs.enqueue(ingest(3))
    payload = await redis.get(f"arq:job:{first.job_id}")

    assert await jobs.enqueue(ingest(3)) == AlreadyQueued(first.job_id, first.job_ids)
    assert await redis.get(f"arq:job:{first.job_id}") == payload
    assert await redis.zcard("arq:queue") == 1


async def test_many_tasks_that_say_the_same_enqueue_it_once(jobs: JobClient, redis: Redis) -> None:
    answers = await asyncio.gather(*(jobs.enqueue(NUMBERED) for _ in range(50)))

    assert [type(answer) for answer in answers].count(Enqueued) == 1
    assert await redis.zcard("arq:queue") == 1


async def test_answers_come_in_the_order_of_the_commands(jobs: JobClient) -> None:
    commands: list[Command] = [NUMBERED, ingest(2), ingest(3), NUMBERED]
    await jobs.enqueue(ingest(2))

    answers = await jobs.enqueue_many(iter(commands))

    assert [type(answer) for answer in answers] == [Enqueued, AlreadyQueued, Enqueued, AlreadyQueued]
    assert answers[0].job_id == answers[3].job_id
    assert await jobs.enqueue_many([]) == []


async def test_a_long_batch_becomes_several_jobs_under_one_answer(jobs: JobClient, redis: Redis) -> None:
    answer = await jobs.enqueue(ingest(2_500))

    assert isinstance(answer, Enqueued)
    assert len(answer.job_ids) == 3
    assert answer.job_id == answer.job_ids[0]
    assert set(await redis.zrange("arq:queue", 0, -1)) == set(answer.job_ids)


async def test_a_long_batch_of_which_a_part_is_missing_is_enqueued_and_the_rest_left_alone(
    jobs: JobClient, redis: Redis
) -> None:
    answer = await jobs.enqueue(ingest(2_500))
    await redis.delete(f"arq:job:{answer.job_ids[1]}")

    assert await jobs.enqueue(ingest(2_500)) == answer
    assert await jobs.enqueue(ingest(2_500)) == AlreadyQueued(answer.job_id, answer.job_ids)


@pytest.mark.parametrize("command", [NUMBERED, ingest(2)])
async def test_what_has_ended_is_not_enqueued_again_while_its_result_is_kept(
    jobs: JobClient, redis: Redis, command: ChangeMeetingState
) -> None:
    answer = await jobs.enqueue(command)
    await end(redis, answer.job_id)

    assert isinstance(await jobs.enqueue(command), AlreadyQueued)
    assert await redis.exists(f"arq:job:{answer.job_id}") == 0


async def test_a_state_without_a_number_may_be_said_again_once_it_has_ended(jobs: JobClient, redis: Redis) -> None:
    answer = await jobs.enqueue(RECORDING)
    assert isinstance(await jobs.enqueue(RECORDING), AlreadyQueued)
    await end(redis, answer.job_id)

    assert await jobs.enqueue(RECORDING) == answer
    assert await redis.exists(f"arq:result:{answer.job_id}") == 0


async def test_a_job_that_runs_is_already_queued(jobs: JobClient, redis: Redis) -> None:
    answer = await jobs.enqueue(RECORDING)
    await redis.set(f"arq:in-progress:{answer.job_id}", "worker-1")
    await redis.delete(f"arq:job:{answer.job_id}")

    assert isinstance(await jobs.enqueue(RECORDING), AlreadyQueued)


async def test_what_an_earlier_job_left_behind_does_not_touch_the_new_one(
    jobs: JobClient, redis: Redis, arq_pool: ArqRedis
) -> None:
    for kind in ("retry", "errors", "crashes", "unknown"):
        await redis.set(f"arq:{kind}:mine", "5")
    await redis.zadd("arq:abort", {"mine": 1, "theirs": 1})

    await jobs.enqueue(RECORDING, job_id="mine")

    assert set(await redis.keys()) == {"arq:queue", "arq:job:mine", "arq:abort", "arq:enqueued"}
    assert await redis.zrange("arq:abort", 0, -1) == ["theirs"]


async def test_a_delay_is_counted_from_the_moment_redis_takes_the_job(jobs: JobClient, redis: Redis) -> None:
    a_minute = await jobs.enqueue(NUMBERED, defer_by=timedelta(minutes=1))
    a_second = await jobs.enqueue(ingest(1), defer_by=1.5)

    for answer, delay_ms in ((a_minute, 60_000), (a_second, 1_500)):
        enqueued_ms = json.loads(await redis.get(f"arq:job:{answer.job_id}"))["et"]
        assert await redis.zscore("arq:queue", answer.job_id) == enqueued_ms + delay_ms


async def test_a_job_may_be_deferred_to_a_moment_but_not_into_the_past(jobs: JobClient, redis: Redis) -> None:
    later = await jobs.enqueue(NUMBERED, defer_until=datetime(2100, 1, 1, tzinfo=UTC))
    past = await jobs.enqueue(ingest(1), defer_until=datetime(2000, 1, 1, tzinfo=UTC))

    assert await redis.zscore("arq:queue", later.job_id) == datetime(2100, 1, 1, tzinfo=UTC).timestamp() * 1000
    enqueued_ms = json.loads(await redis.get(f"arq:job:{past.job_id}"))["et"]
    assert await redis.zscore("arq:queue", past.job_id) == enqueued_ms


async def test_stock_arq_sees_a_deferred_job_as_deferred(jobs: JobClient, arq_pool: ArqRedis) -> None:
    answer = await jobs.enqueue(NUMBERED, defer_by=60)

    assert await Job(answer.job_id, arq_pool, _deserializer=job_deserializer).status() is JobStatus.deferred


@pytest.mark.parametrize("job_id", ["", "a" * 257, "a\x00b"])
async def test_an_id_that_cannot_be_is_refused_by_name(jobs: JobClient, job_id: str) -> None:
    with pytest.raises(InvalidValue, match=r"^job_id: "):
        await jobs.enqueue(NUMBERED, job_id=job_id)


async def test_one_command_that_is_refused_keeps_all_from_being_sent(jobs: JobClient, redis: Redis) -> None:
    with pytest.raises(InvalidValue, match=r"segments\[0\]"):
        await jobs.enqueue_many([NUMBERED, ingest(1, text="a" * 1_048_576)])
    assert await redis.keys() == []


async def test_another_queue_has_its_own_name(redis: Redis, redis_url: str) -> None:
    async with JobClient.from_url(redis_url, queue_name="arq:states") as jobs:
        answer = await jobs.enqueue(NUMBERED)

    assert await redis.zrange("arq:states", 0, -1) == [answer.job_id]


@pytest.mark.parametrize("decode_responses", [False, True])
async def test_a_redis_of_the_callers_own_is_used_and_left_open(redis_url: str, decode_responses: bool) -> None:
    redis = Redis.from_url(redis_url, decode_responses=decode_responses)
    async with JobClient(redis) as jobs:
        assert isinstance(await jobs.enqueue(NUMBERED), Enqueued)
        assert isinstance(await jobs.enqueue(NUMBERED), AlreadyQueued)
    connections = redis.connection_pool._available_connections
    assert all(connection.is_connected for connection in connections)
    await redis.aclose()


async def test_what_is_enqueued_together_is_due_at_once_and_in_its_order(jobs: JobClient, redis: Redis) -> None:
    # By their ids alone 10 would come before 2.
    said = [ChangeMeetingState(MEETING, MeetingState.RECORDING, sequence) for sequence in range(1, 13)]
    answers = await jobs.enqueue_many(said)
    waiting = await redis.zrange("arq:queue", 0, -1, withscores=True)
    assert [job_id for job_id, _ in waiting] == [answer.job_id for answer in answers]
    now_ms = await redis_now_ms(redis)
    assert all(score <= now_ms for _, score in waiting)
