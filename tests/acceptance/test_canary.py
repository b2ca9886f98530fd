"""What was said stands in the job, in PostgreSQL and, if it is refused, in its dead letter: nowhere else."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from arq import create_pool
from arq.connections import RedisSettings
from redis.asyncio import Redis

from noteflow.infrastructure.queue.keys import DEAD_LETTER_PREFIX
from tests.acceptance.collector import Collector, collector
from tests.acceptance.fleet import ODD, OURS, STOCK, Command
from tests.acceptance.judge import Judge, dead_letters, everything_in
from tests.acceptance.pages import Pages, free_port
from tests.waiting import eventually

if TYPE_CHECKING:
    from collections.abc import Iterator
    from uuid import UUID

    from arq.connections import ArqRedis

    from tests.acceptance.conftest import StartWorkers
    from tests.conftest import OwnPostgres, OwnRedis

CANARY = "Bluebird"
FIRST = 1
UNKNOWN = "unknown-function"


@pytest.fixture
def spans() -> Iterator[Collector]:
    """Where the worker's spans go. Only `python -m worker run` sends any."""
    with collector() as kept:
        yield kept


@pytest.mark.parametrize(
    ("command", "level", "form"),
    [
        (OURS, "DEBUG", "json"),
        pytest.param(OURS, "INFO", "console", marks=pytest.mark.slow),
        pytest.param(STOCK, "INFO", "json", marks=pytest.mark.slow),
        (STOCK, "DEBUG", "console"),
    ],
    ids=["run at DEBUG in JSON", "run at INFO for eyes", "arq at INFO in JSON", "arq at DEBUG for eyes"],
)
async def test_no_word_and_no_password_is_told_to_anybody(
    command: Command,
    level: str,
    form: str,
    own_postgres: OwnPostgres,
    own_redis: OwnRedis,
    start_workers: StartWorkers,
    spans: Collector,
) -> None:
    judge, redis_url = Judge(own_postgres(tcp=True).url("noteflow")), own_redis(tcp=True).url()
    secrets = [CANARY, urlsplit(judge.database_url).password, urlsplit(redis_url).password]
    port = free_port()
    settings = {
        "LOG_LEVEL": level,
        "LOG_FORMAT": form,
        "ALLOW_PICKLE": "true",
        "HTTP_LISTEN": f"127.0.0.1:{port}",
        "TRACES_ENDPOINT": spans.endpoint,
    }
    (worker,) = await start_workers(judge.database_url, redis_url, command=ODD[command], settings=settings)
    pool = await create_pool(RedisSettings.from_dsn(redis_url))
    meeting = await judge.new_meeting()
    await say(pool, meeting, "first", FIRST, f"{CANARY} is bought")
    await eventually(judge.count)
    await enqueue_endings(pool, meeting)
    await enqueue_malformed(pool, meeting)
    if command is OURS:
        await enqueue_misshapen(pool)
    await eventually(lambda: only_the_unknown_waits(pool), within_s=60, every_s=0.1)
    pages = [await Pages(port).read(path) for path in ("/metrics", "/readyz")] if command is OURS else []
    assert await asyncio.to_thread(worker.stop) == 0
    kept, letters = await everything_in(pool), await dead_letters(judge, pool)
    await pool.aclose(close_connection_pool=True)

    assert {"contradicts", "bug", "nested", "statement", "refuse", "negative"} <= set(letters)
    assert all(CANARY.encode() in (letters[job_id].body or b"") for job_id in ("contradicts", "bug"))
    assert {"arq:result:first", "arq:result:fine", "arq:result:conflict"} <= set(kept)
    assert (b"process arq:queue" in spans.received) is (command is OURS)
    for secret in secrets:
        assert secret
        assert secret not in worker.said
        assert not [page for page in pages if secret in page.text]
        assert secret.encode() not in spans.received
        assert not [key for key, value in kept.items() if tells(key, value, secret)]
        for table in ("meetings", "meeting_history", "job_ledger", "outbox", "dead_letters"):
            rows = await judge.ask(f"SELECT to_jsonb(t) - 'body' - 'errors' AS row FROM {table} t")
            assert secret not in repr([row["row"] for row in rows]), table


def tells(key: str, value: Any, secret: str) -> bool:
    """Whether a key of Redis gives the secret away. A job may, waiting or dead, and so may what a bug said of it."""
    if key.startswith("arq:job:"):
        return False
    if key.startswith(DEAD_LETTER_PREFIX):
        value = {name: text for name, text in value.items() if name not in (b"body", b"errors")}
    return secret in key + repr(value)


async def say(pool: ArqRedis, meeting: UUID, job_id: str, first: int, *texts: str, **changed: Any) -> None:
    """Enqueue an ingestion of segments, numbered from `first`, as stock Arq does, pickled."""
    segments = [
        {"segment_id": first + place, "text": text, "start_time": 0.0, "end_time": 1.0, **changed}
        for place, text in enumerate(texts)
    ]
    await pool.enqueue_job("ingest_segments", meeting_id=meeting, segments=segments, _job_id=job_id)


async def enqueue_endings(pool: ArqRedis, meeting: UUID) -> None:
    """Every way for a job to end."""
    await say(pool, meeting, "fine", 10, f"we buy {CANARY}", speaker=f"Dr. {CANARY}")
    await say(pool, uuid4(), "early", 20, f"{CANARY} has no meeting yet")
    await say(pool, meeting, "contradicts", FIRST, f"{CANARY} is sold")
    for number, odd in enumerate(("bug", "nested", "statement", "refuse", "conflict"), start=30):
        await say(pool, meeting, odd, number, f"{odd} {CANARY}")
    await pool.enqueue_job("no_such_function", CANARY, said=CANARY, _job_id=UNKNOWN)


async def enqueue_malformed(pool: ArqRedis, meeting: UUID) -> None:
    """Every way to be wrong, with the canary wherever it fits."""
    await say(pool, meeting, "negative", 50, CANARY, start_time=-1.0)
    await say(pool, meeting, "unknown-field", 51, CANARY, remark=CANARY)
    await say(pool, meeting, "text-for-time", 52, "x", end_time=CANARY)
    await say(pool, meeting, "nul", 53, f"{CANARY}\0")
    await say(pool, meeting, "surrogate", 54, f"{CANARY}\ud800")
    await say(pool, meeting, "twice", 55, CANARY, CANARY, segment_id=7)
    await pool.enqueue_job("ingest_segments", meeting, f"{CANARY} said it", _job_id="text-for-segments")
    await pool.enqueue_job("ingest_segments", CANARY, [], _job_id="text-for-meeting")
    await pool.enqueue_job("ingest_segments", meeting_id=CANARY, segments=[], _job_id="text-for-meeting-by-name")
    await say(pool, meeting, "odd-trace", 56, CANARY, speaker=7)
    await pool.enqueue_job("ingest_segments", _traceparent=CANARY, _tracestate=CANARY, _job_id="text-for-trace")
    await pool.enqueue_job("ingest_segments", meeting, *([CANARY] * 9), _job_id="too-many")
    await pool.enqueue_job("ingest_segments", meeting, [], remark=CANARY, _job_id="unknown-argument")
    await pool.enqueue_job("change_meeting_state", meeting, CANARY, _job_id="text-for-state")
    await pool.enqueue_job("change_meeting_state", meeting, "RECORDING", CANARY, _job_id="text-for-number")
    await raw(pool, "broken-json", b'{"f": "ingest_segments", "k": {"text": "%s' % CANARY.encode())
    await raw(pool, "broken-pickle", b"\x80\x04\x95" + CANARY.encode())
    await raw(pool, "no-codec", CANARY.encode())


async def enqueue_misshapen(pool: ArqRedis) -> None:
    """What Arq's own worker does not survive."""
    body = {"t": 1, "f": "ingest_segments", "a": [CANARY], "k": {"remark": CANARY}, "et": 1}
    for field, value in (("t", CANARY), ("f", [CANARY]), ("a", CANARY), ("k", CANARY), ("et", CANARY)):
        await raw(pool, f"misshapen-{field}", json.dumps(body | {field: value}).encode())


async def raw(pool: Redis, job_id: str, body: bytes) -> None:
    """Put bytes where a job belongs."""
    await pool.set(f"arq:job:{job_id}", body)
    await pool.zadd("arq:queue", {job_id: 1})


async def only_the_unknown_waits(pool: Redis) -> bool:
    """A worker of ours keeps a job of an unknown function for a while: a deploy may be under way."""
    return {member.decode() for member in await pool.zrange("arq:queue", 0, -1)} <= {UNKNOWN}
