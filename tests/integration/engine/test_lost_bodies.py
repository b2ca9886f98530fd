"""A claimed job whose body is gone from Redis is run with the body that the application keeps, if it keeps one."""

from __future__ import annotations

from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job

from noteflow.infrastructure.queue.codec import Codec
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, body
from worker.engine import DeadLetters, HandBack, Options


async def echo(_ctx: dict[Any, Any], word: str) -> str:
    return word


async def deleted(redis: ArqRedis) -> None:
    await redis.zadd(QUEUE, {"lost": 1})


async def overwritten(redis: ArqRedis) -> None:
    await redis.zadd(QUEUE, {"lost": 1})
    await redis.hset("arq:job:lost", "not", "a body")  # type: ignore[misc]


async def overwritten_with_too_much(redis: ArqRedis) -> None:
    await redis.zadd(QUEUE, {"lost": 1})
    await redis.set("arq:job:lost", b"x" * 5_000)


@pytest.mark.parametrize("lose", [deleted, overwritten, overwritten_with_too_much])
async def test_a_lost_body_is_found_where_the_application_keeps_it(
    lose: Any, redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    await lose(redis)

    async def find(ctx: dict[Any, Any], job_id: str) -> bytes | None:
        return body("echo", f"{job_id} by {ctx['name']}", codec=Codec.PICKLE)

    await make_worker([echo], ctx={"name": "us"}, options=Options(find_body=find, max_body_bytes=2_000)).main()
    assert await Job("lost", redis).result(timeout=0) == "lost by us"
    assert await letters.count() == 0
    assert not await redis.exists("arq:job:lost", "arq:in-progress:lost", QUEUE)


@pytest.mark.parametrize("lose", [deleted, overwritten_with_too_much])
async def test_a_kept_body_that_is_too_long_is_not_run(
    lose: Any, redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    await lose(redis)

    async def find(*_: Any) -> bytes:
        return body("echo", "x" * 3_000)

    await make_worker([echo], options=Options(find_body=find, max_body_bytes=2_000)).main()
    letter = await letters.show("lost")
    assert letter is not None
    assert letter.reason.startswith("the body cannot be read: it is ")
    assert letter.reason.endswith("bytes, and a job may carry 2000 at most")


async def test_a_body_that_nothing_keeps_makes_a_dead_letter(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    await deleted(redis)

    async def find(*_: Any) -> None:
        return None

    await make_worker([echo], options=Options(find_body=find)).main()
    letter = await letters.show("lost")
    assert letter is not None
    assert letter.reason == "its body was missing or had expired"


@pytest.mark.parametrize("error", [HandBack(0.01, "unavailable"), KeyError("a bug")])
async def test_while_it_cannot_be_known_whether_a_body_is_kept_the_job_goes_back_uncharged(
    error: Exception, redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    await deleted(redis)
    answers: list[Any] = [error, body("echo", "found at last", codec=Codec.PICKLE)]

    async def find(*_: Any) -> bytes:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        found: bytes = answer
        return found

    worker = make_worker([echo], options=Options(find_body=find), max_tries=1)
    await worker.main()
    assert await Job("lost", redis).result(timeout=0) == "found at last"
    assert await letters.count() == 0
    assert worker.jobs_failed == 0


async def test_a_body_is_looked_for_only_where_it_is_gone(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await redis.enqueue_job("echo", "here", _job_id="whole")
    asked: list[str] = []

    async def find(_ctx: dict[Any, Any], job_id: str) -> None:
        asked.append(job_id)

    await make_worker([echo], options=Options(find_body=find)).main()
    assert await Job("whole", redis).result(timeout=0) == "here"
    assert asked == []


def test_what_cannot_be_called_is_refused_by_name() -> None:
    with pytest.raises(TypeError, match="find_body must be a function"):
        Options(find_body="outbox")  # type: ignore[arg-type]
