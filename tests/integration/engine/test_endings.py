from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.jobs import Job
from arq.worker import Retry, func

from noteflow.infrastructure.queue.codec import Codec, codec_of, job_deserializer, job_serializer
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, body, now_ms, put, serving
from tests.proxy import Proxy
from tests.waiting import eventually
from worker.engine import AttemptError, DeadLetters, Ending, HandBack, Options, Outcome, Refused, Worker
from worker.engine.scripts import run_script


async def fine(ctx: Ctx) -> str:
    return "fine"


@pytest.fixture
async def proxy(redis_url: str) -> AsyncIterator[Proxy]:
    async with Proxy(redis_url) as proxy:
        yield proxy


def through(proxy: Proxy, functions: Any, **arguments: Any) -> Worker:
    pool = ArqRedis.from_url(proxy.url)
    return Worker(functions, redis_pool=pool, handle_signals=False, poll_delay=0.05, **arguments)


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


async def test_a_zombie_changes_nothing(redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters) -> None:
    go_on = asyncio.Event()

    async def slow(ctx: Ctx) -> str:
        await go_on.wait()
        return "zombie"

    await put(redis, "j", "slow")
    zombie = make_worker([func(slow, name="slow")], burst=False)
    await zombie.claim(1)
    [claim] = zombie.leases.held
    zombie.leases.drop(claim)
    # Somebody else has it now.
    await redis.set("arq:in-progress:j", "somebody else")
    go_on.set()
    await asyncio.gather(*zombie.tasks.values())
    assert await redis.get("arq:in-progress:j") == b"somebody else"
    assert await redis.exists("arq:job:j") == 1
    assert await redis.zscore(QUEUE, "j") is not None
    assert await redis.get("arq:result:j") is None


@pytest.mark.parametrize("ending", ["return", "retry", "fail"])
async def test_a_reenqueued_job_survives_the_end_of_its_predecessor(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters, ending: str
) -> None:
    go_on = asyncio.Event()

    async def slow(ctx: Ctx, number: int) -> None:
        assert number == 1
        await go_on.wait()
        if ending == "retry":
            raise Retry
        if ending == "fail":
            raise ValueError

    await put(redis, "j", "slow", 1)
    worker = make_worker([func(slow, name="slow")], burst=False)
    await worker.claim(1)
    # The data are lost while it runs, and its producer enqueues it again.
    await redis.flushall()
    await put(redis, "j", "slow", 2)
    new = await redis.get("arq:job:j"), await redis.zscore(QUEUE, "j")
    go_on.set()
    await asyncio.gather(*worker.tasks.values())
    assert (worker.jobs_complete, worker.jobs_retried, worker.jobs_failed) == {
        "return": (1, 0, 0),
        "retry": (0, 1, 0),
        "fail": (0, 0, 1),
    }[ending]
    assert (await redis.get("arq:job:j"), await redis.zscore(QUEUE, "j")) == new
    assert await redis.get("arq:retry:j") is None
    assert await letters.count() == 0


async def test_a_result_is_kept_though_the_server_lost_everything_else(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    go_on = asyncio.Event()

    async def slow(ctx: Ctx) -> str:
        await go_on.wait()
        return "kept"

    await put(redis, "j", "slow")
    worker = make_worker([func(slow, name="slow")], burst=False)
    await worker.claim(1)
    await redis.flushall()
    go_on.set()
    await asyncio.gather(*worker.tasks.values())
    assert await Job("j", redis, _deserializer=job_deserializer).result(poll_delay=0) == "kept"


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("ending", ["return", "retry", "hand back", "fail"])
async def test_an_ending_whose_answer_is_cut_off_is_recorded_once(
    redis: ArqRedis, proxy: Proxy, letters: DeadLetters, when: Any, ending: str
) -> None:
    runs: list[int] = []

    async def job(ctx: Ctx) -> str:
        runs.append(ctx["job_try"])
        if len(runs) == 1:
            # From now on: the ending's call is cut, the next one passes.
            cut.append(proxy.on(b"EVALSHA", "reset", when=when))
            if ending == "retry":
                raise Retry
            if ending == "hand back":
                raise HandBack
            if ending == "fail":
                raise ValueError("no")
        return "done"

    cut: list[Any] = []
    await put(redis, "j", "job")
    worker = through(proxy, [func(job, name="job")])
    async with serving(worker):
        await eventually(lambda: redis.exists("arq:result:j"))
    await worker.close()
    assert cut[0].done == 1
    assert runs == {"return": [1], "retry": [1, 2], "hand back": [1, 1], "fail": [1]}[ending]
    assert await letters.count() == (ending == "fail")
    assert await redis.keys("arq:in-progress:*") == []


async def test_a_claim_whose_answer_is_cut_off_is_handed_back_uncharged(redis: ArqRedis, proxy: Proxy) -> None:
    tries: list[int] = []

    async def note(ctx: Ctx) -> None:
        tries.append(ctx["job_try"])

    worker = through(proxy, [func(note, name="note", max_tries=1)])
    async with serving(worker):
        await eventually(lambda: worker.idle)
        cut = proxy.on(b"EVALSHA", "reset", when="after")
        for number in range(5):
            await put(redis, f"j{number}", "note")
        await eventually(lambda: len(tries) == 5, within_s=5)
    await worker.close()
    assert cut.done == 1
    assert tries == [1] * 5


async def test_a_claim_that_a_hung_server_executes_too_late_takes_nothing(redis: ArqRedis) -> None:
    await put(redis, "j", "fine")
    lease_ms, limit, most_bytes, *others = 10_000, 1, 1000, 0, 0, 0, 0
    late = now_ms() - 1
    answer = await run_script(redis, "claim", [QUEUE], ["token", lease_ms, limit, most_bytes, late, *others])
    assert answer[1] == b"late"
    assert await redis.exists("arq:in-progress:j") == 0
    in_time = now_ms() + 60_000
    answer = await run_script(redis, "claim", [QUEUE], ["token", lease_ms, limit, most_bytes, in_time, *others])
    assert [job[1] for job in answer[4]] == [b"j"]
