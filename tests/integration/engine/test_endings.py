from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job
from arq.worker import Retry, func

from noteflow.infrastructure.queue.codec import Codec, codec_of, job_deserializer, job_serializer
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, body, put, serving
from tests.waiting import eventually
from worker.engine import AttemptError, DeadLetters, Ending, HandBack, Options, Outcome, Refused


async def fine(ctx: Ctx) -> str:
    return "fine"


async def test_a_job_that_hands_itself_back_is_not_charged_for_it(redis: ArqRedis, make_worker: MakeWorker) -> None:
    tries: list[int] = []

    async def wait_for_others(ctx: Ctx) -> None:
        tries.append(ctx["job_try"])
        if len(tries) <= 7:
            raise HandBack(0.01, "the predecessor is not there yet")

    await put(redis, "j", "wait_for_others")
    worker = make_worker([func(wait_for_others, name="wait_for_others", max_tries=2)])
    await worker.main()
    assert tries == [1] * 8
    assert (worker.jobs_complete, worker.jobs_retried) == (1, 7)
    # What it was handed back for is kept for a day: who asks why it took so long, asks when it is over.
    assert sorted(await redis.keys("arq:*:j")) == [b"arq:handed-back:j", b"arq:result:j"]
    told = await redis.hgetall("arq:handed-back:j")  # type: ignore[misc]
    assert int(told[b"n:the predecessor is not there yet"]) == 7
    assert told[b"by:the predecessor is not there yet"].decode() == worker.worker_id
    assert 0 < await redis.ttl("arq:handed-back:j") <= 88_400


async def test_a_job_handed_back_again_and_again_waits_twice_as_long_each_time_up_to_a_bound(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    async def needs(ctx: Ctx, what: str) -> None:
        raise HandBack(100, f"{what} is away", longest_s=350)

    worker = make_worker([func(needs, name="needs")])
    waits: list[int] = []
    for what in ("the printer", "the printer", "the printer", "the printer", "the lamp"):
        await put(redis, "j", "needs", what)
        await worker._poll_iteration()
        await asyncio.gather(*worker.tasks.values())
        seconds, _ = await redis.time()
        score = await redis.zscore(QUEUE, "j")
        assert score is not None
        waits.append(round((score / 1000 - seconds) / 10) * 10)
    assert waits == [100, 200, 350, 350, 100]


async def test_a_job_that_is_never_handed_back_leaves_nothing_but_its_result(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    async def work(ctx: Ctx) -> None: ...

    await put(redis, "j", "work")
    await make_worker([func(work, name="work")]).main()
    assert await redis.keys("arq:*:j") == [b"arq:result:j"]


async def test_a_refused_job_is_a_dead_letter_at_once_with_all_its_attempts(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    attempts = [AttemptError("db.Conflict", "first"), AttemptError("db.Conflict", "second")]

    async def refuse(ctx: Ctx, text: str) -> None:
        raise Refused("revision 1 of segment 3 has other content", attempts)

    await put(redis, "j", "refuse", "höchst")
    sent = await redis.get("arq:job:j")
    worker = make_worker([func(refuse, name="refuse")])
    await worker.main()
    letter = await letters.show("j")
    assert letter is not None
    assert letter.reason == "revision 1 of segment 3 has other content"
    assert letter.errors == tuple(attempts)
    assert letter.body == sent
    assert (letter.function, letter.queue, letter.tries, letter.worker) == ("refuse", QUEUE, 1, worker.worker_id)
    assert worker.jobs_failed == 1
    assert await redis.zcard(QUEUE) == 0


async def test_a_dead_letter_tells_the_true_error_behind_each_retry(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    async def struggle(ctx: Ctx) -> None:
        try:
            os.environ[f"attempt {ctx['job_try']}"]
        except KeyError as error:
            raise Retry from error

    await put(redis, "j", "struggle")
    worker = make_worker([func(struggle, name="struggle", max_tries=3)])
    await worker.main()
    letter = await letters.show("j")
    assert letter is not None
    assert letter.reason == "max 3 retries exceeded"
    assert [(e.error, e.message, e.attempt) for e in letter.errors] == [
        ("builtins.KeyError", f"'attempt {n}'", n) for n in (1, 2, 3)
    ]
    assert letter.tries == 3


async def test_every_ending_is_told_once_it_is_recorded(redis: ArqRedis, make_worker: MakeWorker) -> None:
    told: dict[str, Outcome] = {}

    async def refuse(ctx: Ctx) -> None:
        raise Refused("no")

    async def again(ctx: Ctx) -> None:
        if ctx["job_try"] == 1:
            raise Retry

    async def later(ctx: Ctx) -> None:
        raise HandBack(3600)

    def tell(ending: Ending) -> None:
        told[f"{ending.job_id}{ending.tries}"] = ending.outcome
        raise RuntimeError("an observer must not matter")

    functions = [func(coroutine, name=coroutine.__name__) for coroutine in (fine, refuse, again, later)]
    for name in ("fine", "refuse", "again", "later"):
        await put(redis, name, name)
    worker = make_worker(functions, burst=False, options=Options(on_ending=tell))
    async with serving(worker):
        await eventually(lambda: len(told) == 5)
    assert told == {
        "fine1": Outcome.COMPLETE,
        "refuse1": Outcome.DEAD,
        "again1": Outcome.RETRIED,
        "again2": Outcome.COMPLETE,
        "later1": Outcome.HANDED_BACK,
    }


@pytest.mark.parametrize("codec", list(Codec))
async def test_the_answer_comes_in_the_codec_of_the_job(redis: ArqRedis, make_worker: MakeWorker, codec: Codec) -> None:
    async def refuse(ctx: Ctx) -> None:
        raise ValueError("no")

    for job_id, name in (("ok", "fine"), ("bad", "refuse")):
        await redis.set(f"arq:job:{job_id}", body(name, codec=codec))
        await redis.zadd(QUEUE, {job_id: 1})
    codecs: Any = {"job_serializer": job_serializer, "job_deserializer": job_deserializer}
    await make_worker([fine, func(refuse, name="refuse")], **codecs).main()
    for job_id in ("ok", "bad"):
        answer = await redis.get(f"arq:result:{job_id}")
        assert answer is not None
        assert codec_of(answer) is codec
    deserializer = None if codec is Codec.PICKLE else job_deserializer
    assert await Job("ok", redis, _deserializer=deserializer).result(poll_delay=0) == "fine"
    with pytest.raises(ValueError, match="no"):
        await Job("bad", redis, _deserializer=deserializer).result(poll_delay=0)
