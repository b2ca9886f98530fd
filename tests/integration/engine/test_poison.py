"""No input stops a worker: each of these ends as a dead letter with a reason, and the job behind it is not late."""

from __future__ import annotations

import asyncio
import os
import pickle
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest
from arq.connections import ArqRedis
from arq.jobs import Job
from arq.worker import func

from noteflow.infrastructure.queue.codec import job_deserializer, job_serializer
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, body, now_ms, put, serving
from tests.waiting import eventually
from worker.engine import DeadLetters, Options

Poison = Callable[[ArqRedis], Awaitable[Any]]


class Hostile:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("touch /tmp/noteflow-was-here",)


def raw(payload: bytes, job_id: bytes = b"bad", score: float | str | None = None) -> Poison:
    async def enqueue(redis: ArqRedis) -> None:
        await redis.set(b"arq:job:" + job_id, payload)
        await redis.zadd(QUEUE, {job_id: now_ms() if score is None else score})

    return enqueue


def json(**fields: Any) -> Poison:
    good: dict[str, Any] = {"t": None, "f": "fine", "a": [], "k": {}, "et": now_ms()}
    return raw(msgspec.json.encode({**good, **fields}))


def lacking(field: str) -> Poison:
    good: dict[str, Any] = {"t": None, "f": "fine", "a": [], "k": {}, "et": now_ms()}
    return raw(msgspec.json.encode({name: value for name, value in good.items() if name != field}))


async def no_body(redis: ArqRedis) -> None:
    await redis.zadd(QUEUE, {"bad": now_ms()})


async def expired_body(redis: ArqRedis) -> None:
    await redis.enqueue_job("fine", _job_id="bad", _expires=0.001)
    await eventually(lambda: _gone(redis, "arq:job:bad"))


async def _gone(redis: ArqRedis, key: str) -> bool:
    return not await redis.exists(key)


async def body_of_wrong_type(redis: Any) -> None:
    await redis.hset("arq:job:bad", "a", "b")
    await redis.zadd(QUEUE, {"bad": now_ms()})


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
        "k: the key",
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


async def fine(ctx: Ctx) -> str:
    return "fine"


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


class Unspeakable(Exception):
    def __str__(self) -> str:
        raise ValueError("no words")


class Unpicklable(Exception):
    def __init__(self, code: int, told: str) -> None:
        super().__init__(told)


class Shy:
    def __repr__(self) -> str:
        raise ValueError("do not look")


@pytest.mark.parametrize(
    "raised",
    [SystemExit(3), KeyboardInterrupt(), Unspeakable(), Unpicklable(1, "two"), MemoryError(), BaseException("bare")],
    ids=lambda error: type(error).__name__,
)
@pytest.mark.parametrize("codec", ["json", "pickle"])
async def test_whatever_a_job_raises_ends_the_job_and_nothing_else(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters, raised: BaseException, codec: str
) -> None:
    async def burst_out(ctx: Ctx) -> None:
        raise raised

    if codec == "json":
        await put(redis, "bad", "burst_out")
    else:
        await redis.enqueue_job("burst_out", _job_id="bad")
    worker = make_worker([fine, func(burst_out, name="burst_out")], burst=False)
    async with serving(worker):
        await eventually(lambda: letters.count())
        await put(redis, "good", "fine")
        await eventually(lambda: worker.jobs_complete == 1)
    letter = await letters.show("bad")
    assert letter is not None
    assert type(raised).__name__ in letter.reason
    info = await Job("bad", redis, _deserializer=None if codec == "pickle" else job_deserializer).result_info()
    assert info is not None
    assert not info.success


@pytest.mark.parametrize(
    "result", [Shy(), object(), 2**80, {1, 2}, b"\xff", "\ud800", float("inf")], ids=lambda value: type(value).__name__
)
async def test_whatever_a_job_returns_the_worker_goes_on(redis: ArqRedis, make_worker: MakeWorker, result: Any) -> None:
    async def give(ctx: Ctx) -> Any:
        return result

    await put(redis, "odd", "give")
    worker = make_worker([fine, func(give, name="give")], burst=False)
    async with serving(worker):
        await eventually(lambda: redis.exists("arq:result:odd"))
        await put(redis, "good", "fine")
        await eventually(lambda: worker.jobs_complete == 2)


@pytest.mark.parametrize("hook", ["on_job_start", "on_job_end", "after_job_end"])
async def test_a_hook_that_raises_ends_at_most_its_job(redis: ArqRedis, make_worker: MakeWorker, hook: str) -> None:
    async def raise_for_bad(ctx: Ctx) -> None:
        if ctx["job_id"] == "bad":
            raise ValueError("hook")

    await put(redis, "bad", "fine")
    hooks: Any = {hook: raise_for_bad}
    worker = make_worker([fine], burst=False, **hooks)
    async with serving(worker):
        await put(redis, "good", "fine")
        await eventually(lambda: worker.jobs_complete + worker.jobs_failed == 2)
        await eventually(lambda: redis.exists("arq:result:good"))
        await eventually(lambda: redis.exists("arq:result:bad"))


@pytest.mark.parametrize("score", [0, -5, "-inf", 1.5])
async def test_odd_scores_are_due(redis: ArqRedis, make_worker: MakeWorker, score: Any) -> None:
    await raw(body("fine"), b"j", score)(redis)
    worker = make_worker([fine], burst=False)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 1)


@pytest.mark.parametrize("prefix", ["retry", "crashes", "errors", "result", "unknown", "dead:letter"])
async def test_keys_of_the_wrong_type_are_overwritten(
    redis: Any, make_worker: MakeWorker, letters: DeadLetters, prefix: str
) -> None:
    async def refuse(ctx: Ctx) -> None:
        raise ValueError("no")

    for job_id in ("ok", "bad"):
        await redis.rpush(f"arq:{prefix}:{job_id}", "x")
    await redis.set("arq:retry:ok" if prefix != "retry" else "other", "not a number")
    await put(redis, "ok", "fine")
    await put(redis, "bad", "refuse")
    worker = make_worker([fine, func(refuse, name="refuse")], burst=False)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == worker.jobs_failed == 1)
        await eventually(lambda: _is_letter(redis, "bad"))
        assert await letters.show("bad") is not None
        await eventually(lambda: _gone(redis, "arq:job:ok"))


async def _is_letter(redis: Any, job_id: str) -> bool:
    return bool(await redis.type(f"arq:dead:letter:{job_id}") == b"hash")


@pytest.mark.parametrize("key", ["arq:paused", "arq:abort", "low"])
async def test_shared_keys_of_the_wrong_type_do_not_stop_the_queue(
    redis: ArqRedis, make_worker: MakeWorker, key: str
) -> None:
    await redis.set(key, "x")
    await put(redis, "ok", "fine")
    options = Options(more_queues=("low",))
    worker = make_worker([fine], burst=False, allow_abort_jobs=True, options=options)
    async with serving(worker):
        await eventually(lambda: worker.jobs_complete == 1)
        await eventually(lambda: redis.exists("arq:result:ok"))
    assert worker.outage.count == 0


async def test_a_lease_without_an_end_blocks_nobody(redis: ArqRedis, make_worker: MakeWorker) -> None:
    await redis.set("arq:in-progress:j", "1")
    await put(redis, "j", "fine")
    worker = make_worker([fine])
    await worker.main()
    assert worker.jobs_complete == 1


async def test_arguments_too_large_to_show_are_not_spelled_out(redis: ArqRedis, make_worker: MakeWorker) -> None:
    knot: Any = ["x"]
    for _ in range(60):
        knot = [knot, knot]  # 2^60 strings when spelled out, a few hundred bytes when pickled

    async def take(ctx: Ctx, value: Any) -> int:
        return 1

    await redis.enqueue_job("take", knot, _job_id="j")
    worker = make_worker([func(take, name="take")])
    await asyncio.wait_for(worker.main(), 5)
    assert worker.jobs_complete == 1
