"""No input stops a worker: each of these ends as a dead letter with a reason, and the job behind it is not late."""

from __future__ import annotations

import pickle

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job

from noteflow.infrastructure.queue.codec import job_deserializer, job_serializer
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, body, put, serving
from tests.integration.engine.poison import (
    Hostile,
    Poison,
    body_of_wrong_type,
    expired_body,
    fine,
    json,
    lacking,
    no_body,
    raw,
)
from tests.waiting import eventually
from worker.engine import DeadLetters, Options

SENTENCES: dict[str, tuple[Poison, str]] = {
    "garbage": (raw(b"\xffgarbage"), "cannot be read: neither JSON"),
    "empty body": (raw(b""), "missing or had expired|cannot be read"),
    "half a JSON": (raw(b'{"t": nu'), "cannot be read: not json"),
    "half a pickle": (raw(pickle.dumps({"t": 1})[:-4]), "cannot be read: not pickle"),
    "JSON that nests without end": (raw(b'{"a":' + b"[" * 100_000), "cannot be read: not json"),
    "a list": (raw(b"[1, 2]"), "cannot be read: neither"),
    "a pickle that runs code": (raw(pickle.dumps({"t": 1, "f": "fine", "a": (Hostile(),), "k": {}, "et": 1})), "plain"),
    "a pickle of a class": (raw(pickle.dumps({"t": 1, "f": "fine", "a": (Hostile,), "k": {}, "et": 1})), "plain data"),
    "a pickle of a missing module": (raw(b"\x80\x04\x8c\x06nosuch\x8c\x01x\x93."), "nosuch.x is not plain data"),
    "no function": (lacking("f"), "cannot be read: 'f'"),
    "no arguments": (lacking("a"), "cannot be read: 'a'"),
    "no try": (lacking("t"), "cannot be read: 't'"),
    "a function that is a list": (json(f=["fine"]), "f: the function's name must be text"),
    "a function that is null": (json(f=None), "f: the function's name must be text"),
    "arguments that are text": (json(a="abc"), "a: the arguments must be a list"),
    "arguments that are a number": (json(a=3), "a: the arguments must be a list"),
    "keywords that are a list": (json(k=[1]), "k: the keyword arguments must be a map"),
    "keywords that are no text": (
        raw(pickle.dumps({"t": 1, "f": "fine", "a": (), "k": {1: 2}, "et": 1})),
        "a key that is of type int is not plain data",
    ),
    "a try that is text": (json(t="2"), "t: the try must be"),
    "a try that is huge": (json(t=2**70), "t: the try must be"),
    "a time that is text": (json(et="now"), "et: the time of enqueueing"),
    "a time that is null": (json(et=None), "et: the time of enqueueing"),
    "a time beyond all calendars": (json(et=10**18), "et: the time of enqueueing"),
    "a time that is no number": (
        raw(pickle.dumps({"t": 1, "f": "fine", "a": (), "k": {}, "et": float("nan")})),
        "et: ",
    ),
    "an unknown function": (json(f="nobody"), "no worker knows the function 'nobody'"),
    "arguments that do not fit": (json(a=[1, 2, 3]), "TypeError"),
    "an id that is not UTF-8": (raw(body("fine"), b"\xff\xfe"), "not UTF-8"),
    "no body": (no_body, "missing or had expired"),
    "an expired body": (expired_body, "missing or had expired"),
    "a body of the wrong type": (body_of_wrong_type, "not a string"),
}


@pytest.mark.parametrize("case", SENTENCES)
async def test_a_job_that_cannot_be_run_becomes_a_dead_letter_and_the_next_one_runs(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters, case: str
) -> None:
    poison, sentence = SENTENCES[case]
    await poison(redis)
    await put(redis, "good", "fine")
    options = Options(unknown_function_grace_s=0)
    worker = make_worker(
        [fine],
        burst=False,
        max_jobs=1,
        options=options,
        job_serializer=job_serializer,
        job_deserializer=job_deserializer,
    )
    async with serving(worker):
        assert await Job("good", redis, _deserializer=job_deserializer).result(timeout=5, poll_delay=0.01) == "fine"
        await eventually(lambda: letters.count())
    [letter] = [letter async for letter in letters.find()]
    assert_says(letter.reason, sentence)
    assert (await letters.counts())["buried"] == 1
    assert await redis.zcard(QUEUE) == 0
    assert worker.jobs_failed == 1
    assert await redis.keys("arq:in-progress:*") == await redis.keys("arq:job:*") == []


def assert_says(reason: str, sentence: str) -> None:
    assert any(part in reason for part in sentence.split("|")), reason
