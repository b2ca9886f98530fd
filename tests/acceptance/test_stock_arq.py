"""Producers that know Arq and nothing of ours: they enqueue with it and read the answer with it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from arq.jobs import Job, JobStatus, SerializationError
from arq.worker import JobExecutionFailed

from tests.acceptance.fleet import Command, WorkerProcess, all_ready, worker_processes
from tests.acceptance.judge import Judge, dead_letters
from tests.acceptance.manager import PATIENCE_S, ROOT
from tests.databases import MIGRATED
from worker.embedded import EmbeddedPostgres, EmbeddedRedis

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator, Mapping

    from tests.databases import Databases

APPLIED = {"outcome": "applied", "detail": {"stored": 2, "replaced": 0, "unchanged": 0}}
JSON: Mapping[str, Any] = {
    "job_serializer": lambda message: json.dumps(message, default=str).encode(),
    "job_deserializer": json.loads,
}
CODECS: Mapping[str, tuple[Mapping[str, Any], bytes]] = {"pickle": ({}, b"\x80"), "JSON": (JSON, b"{")}
"""What `create_pool` is told besides where Redis is, and how all that it writes begins."""


@dataclass(frozen=True)
class Ground:
    """A worker that serves every test of this file, and where its servers are."""

    worker: WorkerProcess
    redis_url: str
    judge: Judge


@pytest.fixture(scope="module")
def ground(
    either_way: Command, postgres: EmbeddedPostgres, databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ground]:
    name, folder = databases.create(template=MIGRATED), tmp_path_factory.mktemp("stock")
    with (
        EmbeddedRedis() as redis,
        worker_processes(either_way, 1, postgres.url(name), redis.url(), folder, {"ALLOW_PICKLE": "true"}) as workers,
    ):
        yield Ground(workers[0], redis.url(), Judge(postgres.url(name)))
    databases.drop(name)


@pytest.fixture(params=CODECS)
async def pool(request: pytest.FixtureRequest, ground: Ground) -> AsyncIterator[ArqRedis]:
    await all_ready([ground.worker])
    pool = await create_pool(RedisSettings.from_dsn(ground.redis_url), **CODECS[request.param][0])
    yield pool
    await pool.aclose(close_connection_pool=True)


def codec_of(pool: ArqRedis) -> bytes:
    return CODECS["pickle" if pool.job_serializer is None else "JSON"][1]


def segments(text: str = "well, yes") -> list[dict[str, Any]]:
    words = [{"text": "well,", "start": 0, "end": 0.5, "probability": 0.75}, {"text": "yes", "start": 0.5, "end": 1}]
    return [
        {"segment_id": 0, "text": text, "start_time": 0, "end_time": 1.0, "speaker": "Ana", "words": words},
        {"segment_id": 1, "text": "and no", "start_time": 1.0, "end_time": 2.5, "language": "en", "revision": 3},
    ]


async def enqueued(pool: ArqRedis, function: str, *args: Any, **kwargs: Any) -> Job:
    job = await pool.enqueue_job(function, *args, **kwargs)
    assert job is not None
    return job


async def test_keyword_arguments_are_applied_and_the_answer_is_written_as_the_question_was(
    pool: ArqRedis, ground: Ground
) -> None:
    meeting = await ground.judge.new_meeting()
    job = await enqueued(pool, "ingest_segments", meeting_id=meeting, segments=segments())

    assert await job.result(timeout=PATIENCE_S, poll_delay=0.05) == APPLIED
    assert await job.status() is JobStatus.complete
    info = await job.result_info()
    assert info is not None
    assert (info.function, info.success, info.job_try, info.job_id) == ("ingest_segments", True, 1, job.job_id)
    assert info.queue_name == "arq:queue"
    assert info.enqueue_time <= info.start_time <= info.finish_time
    assert str(info.kwargs["meeting_id"]) == str(meeting)
    assert (await pool.get(f"arq:result:{job.job_id}"))[:1] == codec_of(pool)
    assert (await ground.judge.segments())[meeting] == {0: "well, yes", 1: "and no"}


async def test_positional_arguments_are_understood_as_well(pool: ArqRedis, ground: Ground) -> None:
    meeting = await ground.judge.new_meeting()
    job = await enqueued(pool, "ingest_segments", meeting, segments())
    assert await job.result(timeout=PATIENCE_S, poll_delay=0.05) == APPLIED
    assert (await ground.judge.segments())[meeting] == {0: "well, yes", 1: "and no"}


async def test_a_state_change_is_applied(pool: ArqRedis, ground: Ground) -> None:
    meeting = await ground.judge.new_meeting()
    job = await enqueued(pool, "change_meeting_state", meeting_id=meeting, state="RECORDING", sequence=1)
    assert await job.result(timeout=PATIENCE_S, poll_delay=0.05) == {
        "outcome": "applied",
        "detail": {"from": "CREATED", "to": "RECORDING", "version": 2},
    }
    assert (await ground.judge.meetings())[meeting] == ("RECORDING", 2, 1)


async def test_a_deferred_job_waits_for_its_time(pool: ArqRedis, ground: Ground) -> None:
    meeting, delay = await ground.judge.new_meeting(), timedelta(seconds=0.8)
    job = await enqueued(pool, "ingest_segments", meeting_id=meeting, segments=segments(), _defer_by=delay)
    assert await job.status() is JobStatus.deferred
    waiting = await job.info()
    assert waiting is not None
    assert waiting.score is not None

    assert await job.result(timeout=PATIENCE_S, poll_delay=0.05) == APPLIED
    info = await job.result_info()
    assert info is not None
    assert info.start_time.timestamp() * 1000 >= waiting.score


async def test_a_job_id_of_ones_own_is_taken_once_and_finds_the_result_again(pool: ArqRedis, ground: Ground) -> None:
    meeting, job_id = await ground.judge.new_meeting(), f"mine-{uuid4()}"
    await enqueued(pool, "ingest_segments", meeting_id=meeting, segments=segments(), _job_id=job_id)
    assert await pool.enqueue_job("ingest_segments", meeting_id=meeting, segments=segments(), _job_id=job_id) is None

    found = Job(job_id, pool, _deserializer=pool.job_deserializer)
    assert await found.result(timeout=PATIENCE_S, poll_delay=0.05) == APPLIED
    assert await pool.enqueue_job("ingest_segments", meeting_id=meeting, segments=segments(), _job_id=job_id) is None


async def test_the_same_batch_under_another_id_changes_nothing(pool: ArqRedis, ground: Ground) -> None:
    meeting = await ground.judge.new_meeting()
    for detail in ({"stored": 2, "replaced": 0, "unchanged": 0}, {"stored": 0, "replaced": 0, "unchanged": 2}):
        job = await enqueued(pool, "ingest_segments", meeting_id=meeting, segments=segments())
        assert (await job.result(timeout=PATIENCE_S, poll_delay=0.05))["detail"] == detail


async def test_a_refused_job_raises_its_reason_and_its_bytes_are_kept(pool: ArqRedis, ground: Ground) -> None:
    meeting = await ground.judge.new_meeting()
    first = await enqueued(pool, "ingest_segments", meeting_id=meeting, segments=segments())
    await first.result(timeout=PATIENCE_S, poll_delay=0.05)
    contradiction = await enqueued(
        pool, "ingest_segments", meeting_id=meeting, segments=segments("oh no"), _defer_by=timedelta(seconds=0.3)
    )
    body = await pool.get(f"arq:job:{contradiction.job_id}")
    assert body[:1] == codec_of(pool)

    # A pool that reads JSON gets the failure as JSON, which Arq can only wrap.
    with pytest.raises(
        (JobExecutionFailed, SerializationError), match=r"segment 0 of meeting .*other content \(text\)"
    ):
        await contradiction.result(timeout=PATIENCE_S, poll_delay=0.05)
    assert await contradiction.status() is JobStatus.complete
    info = await contradiction.result_info()
    assert info is not None
    assert not info.success

    letter = (await dead_letters(ground.judge, pool))[contradiction.job_id]
    assert letter.body == body
    assert letter.function == "ingest_segments"
    assert letter.reason.startswith("refused: segment 0 of meeting ")
    assert [error["error"] for error in letter.errors] == ["noteflow.domain.errors.ConflictingContent"]
    assert await pool.exists(f"arq:job:{contradiction.job_id}") == 0
    assert (await ground.judge.segments())[meeting] == {0: "well, yes", 1: "and no"}


@pytest.mark.parametrize("pool", ["pickle"], indirect=True)
async def test_a_service_without_our_code_reads_why_its_job_was_refused(pool: ArqRedis, ground: Ground) -> None:
    job = await enqueued(pool, "change_meeting_state", meeting_id=str(uuid4()), state="SLEEPING")
    with pytest.raises(JobExecutionFailed, match="refused: state: "):
        await job.result(timeout=PATIENCE_S, poll_delay=0.05)

    reader = subprocess.run(
        [sys.executable, "-m", "tests.acceptance.arq_reader", ground.redis_url, job.job_id],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert reader.stdout.startswith("JobExecutionFailed refused: state: "), reader.stdout + reader.stderr
