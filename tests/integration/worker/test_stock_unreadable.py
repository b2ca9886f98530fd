"""What Arq's own worker cannot read is kept as a dead letter, where it would delete it."""

from __future__ import annotations

import pickle
from collections.abc import AsyncIterator
from typing import Any

import arq.worker
import pytest
from arq.connections import ArqRedis
from arq.jobs import Job
from arq.worker import JobExecutionFailed

from worker.engine.dead_letters import DeadLetters
from worker.functions import QUEUE, WORKER, keep_unreadable
from worker.payloads import stock_deserializer
from worker.results import result_serializer

SECRET = "words of a transcript"
BODIES = {
    "pickled": pickle.dumps({"t": None, "f": "ingest_segments", "a": (SECRET,), "k": {}, "et": 1}),
    "cut": b'{"t":null,"f":"ingest_segments","a":["' + SECRET.encode(),
    "garbage": b"\x00" + SECRET.encode(),
}


@pytest.fixture
async def pool(redis_url: str) -> AsyncIterator[ArqRedis]:
    pool = ArqRedis.from_url(redis_url)
    yield pool
    await pool.aclose(close_connection_pool=True)


@pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")
@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_cannot_be_read_is_kept_to_the_byte(
    pool: ArqRedis, redis_url: str, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    await pool.set(f"arq:job:{name}", BODIES[name])
    await pool.zadd("arq:queue", {name: 1})
    caplog.set_level("INFO")
    ctx: dict[Any, Any] = {QUEUE: "arq:queue", WORKER: "w1"}
    worker = arq.worker.Worker(
        [keep_unreadable()],
        redis_pool=ArqRedis.from_url(redis_url),
        burst=True,
        poll_delay=0.01,
        ctx=ctx,
        job_serializer=result_serializer,
        job_deserializer=stock_deserializer(allow_pickle=False),
    )
    await worker.main()
    await worker.close()
    letter = await DeadLetters(pool).show(name)
    assert letter is not None
    assert letter.body == BODIES[name]
    assert letter.function == ("<unknown>" if name == "garbage" else "ingest_segments")
    assert letter.reason.startswith("the body cannot be read: ")
    assert not await pool.exists(f"arq:job:{name}")
    assert SECRET not in caplog.text
    assert SECRET not in letter.reason + str(letter.errors)
    if name == "pickled":
        assert "ALLOW_PICKLE" in letter.reason
        with pytest.raises(JobExecutionFailed, match="ALLOW_PICKLE"):
            await Job(name, pool).result(timeout=1)
