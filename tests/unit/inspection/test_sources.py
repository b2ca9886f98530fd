"""A server that has not answered is not asked again by the same command: each question to one that hangs takes time."""

from __future__ import annotations

from typing import Any, cast

import pytest
from redis.asyncio import Redis
from redis.exceptions import ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError

from worker.inspection.sources import RedisAway, Sources


class Question:
    """What somebody asks Redis, and how often it got there."""

    def __init__(self, failure: Exception | None = None) -> None:
        self.failure = failure
        self.asked = 0

    async def __call__(self) -> str:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return "answer"


@pytest.fixture
def sources() -> Sources:
    return Sources(Redis.from_url("redis://127.0.0.1:1/0"), cast("Any", None), "arq:queue")


async def test_a_redis_that_did_not_answer_is_asked_again_only_anew(sources: Sources) -> None:
    with pytest.raises(RedisAway, match="does not answer"):
        await sources.answer(Question(RedisTimeoutError())())
    question = Question()
    with pytest.raises(RedisAway, match="does not answer"):
        await sources.answer(question())
    assert question.asked == 0
    sources.ask_anew()
    assert await sources.answer(question()) == "answer"


async def test_one_that_refuses_a_command_may_do_the_next(sources: Sources) -> None:
    with pytest.raises(RedisAway, match="something else"):
        await sources.answer(Question(ResponseError("WRONGTYPE Operation against a key"))())
    assert await sources.answer(Question()()) == "answer"
