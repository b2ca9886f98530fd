from __future__ import annotations

from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import Retry, func

from noteflow.infrastructure.queue import keys
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, put, serving
from tests.waiting import eventually
from worker.engine import DeadLetters, Matching, Options, Refused, Replayed

mended = {"yet": False}


async def sow(ctx: Ctx, text: str = "") -> str:
    if not mended["yet"]:
        raise Refused(f"no {text}")
    return f"{text} {ctx['job_try']}"


async def reap(ctx: Ctx) -> None:
    raise LookupError("empty field")


@pytest.fixture(autouse=True)
def broken() -> None:
    mended["yet"] = False


@pytest.fixture
def functions() -> list[Any]:
    return [func(sow, name="sow"), func(reap, name="reap")]


async def test_a_replayed_letter_runs_as_new_with_the_same_body(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters, functions: list[Any]
) -> None:
    await put(redis, "j", "sow", "corn")
    await make_worker(functions).main()
    letter = await letters.show("j")
    assert letter is not None
    assert await redis.exists("arq:result:j")
    assert await letters.replay("j") is Replayed.REPLAYED
    assert await redis.get("arq:job:j") == letter.body
    assert await redis.ttl("arq:job:j") == -1
    assert await redis.exists("arq:result:j") == await letters.count() == 0
    mended["yet"] = True
    worker = make_worker(functions)
    await worker.main()
    assert worker.jobs_complete == 1
    assert b'"corn 1"' in (await redis.get("arq:result:j") or b"")
    assert await letters.counts() == {"buried": 1, "evicted": 0, "replayed": 1, "dropped": 0}


async def test_what_cannot_be_replayed_is_said_and_kept(
    redis: ArqRedis, letters: DeadLetters, make_worker: MakeWorker, functions: list[Any]
) -> None:
    assert await letters.replay("nobody") is Replayed.MISSING
    await redis.zadd(QUEUE, {"bodiless": 1})
    await put(redis, "j", "sow")
    await make_worker(functions).main()
    assert await letters.replay("bodiless") is Replayed.EMPTY
    await put(redis, "j", "sow", "the producer was quicker")
    assert await letters.replay("j") is Replayed.QUEUED
    assert await letters.count() == 2


async def test_a_dropped_letter_is_gone(
    redis: ArqRedis, letters: DeadLetters, make_worker: MakeWorker, functions: list[Any]
) -> None:
    await put(redis, "j", "sow")
    await make_worker(functions).main()
    assert await letters.drop("j")
    assert not await letters.drop("j")
    assert await redis.exists(keys.dead_letter("j")) == await letters.count() == 0


async def test_letters_are_found_by_function_queue_error_and_time(
    redis: ArqRedis, letters: DeadLetters, make_worker: MakeWorker, functions: list[Any]
) -> None:
    for number in range(3):
        await put(redis, f"sow{number}", "sow", f"seed {number}")
    await put(redis, "reap", "reap", queue="low")
    await make_worker(functions, max_jobs=1, options=Options(more_queues=("low",))).main()

    async def found(matching: Matching) -> list[str]:
        return sorted([letter.job_id async for letter in letters.find(matching)])

    assert await found(Matching()) == ["reap", "sow0", "sow1", "sow2"]
    assert await found(Matching(function="reap")) == ["reap"]
    assert await found(Matching(queue="low")) == ["reap"]
    assert await found(Matching(error="seed 1")) == ["sow1"]
    assert await found(Matching(error="LookupError")) == ["reap"]
    latest_ms = max([letter.died_ms async for letter in letters.find()])
    assert await found(Matching(since_ms=latest_ms + 1)) == []
    assert await found(Matching(since_ms=latest_ms)) != []


async def test_many_letters_of_one_moment_are_all_found(redis: ArqRedis, letters: DeadLetters) -> None:
    for number in range(350):
        await letters.bury_copy(f"j{number}", queue=QUEUE, function="sow", reason="r")
    await redis.zadd(keys.DEAD_LETTERS, {f"j{number}": 5 for number in range(320)})
    found = [letter.job_id async for letter in letters.find()]
    assert len(found) == len(set(found)) == 350


async def test_the_oldest_gives_way_when_there_are_too_many_and_it_is_said(
    redis: ArqRedis,
    letters: DeadLetters,
    make_worker: MakeWorker,
    functions: list[Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    for number in range(4):
        await put(redis, f"j{number}", "sow")
    await make_worker(functions, max_jobs=1, options=Options(max_dead_letters=2)).main()
    assert [letter.job_id async for letter in letters.find()] == ["j3", "j2"]
    assert await redis.exists(keys.dead_letter("j0")) == 0
    assert (await letters.counts())["evicted"] == 2
    assert [f"dead letter 'j{n}' gave way" in caplog.text for n in range(4)] == [True, True, False, False]


async def test_a_letter_is_written_though_the_body_expired_while_the_job_ran(
    redis: ArqRedis, letters: DeadLetters, make_worker: MakeWorker
) -> None:
    async def lose_body(ctx: Ctx) -> None:
        await redis.delete("arq:job:j")
        raise ValueError("and then this")

    await put(redis, "j", "lose_body")
    body = await redis.get("arq:job:j")
    await make_worker([func(lose_body, name="lose_body")]).main()
    letter = await letters.show("j")
    assert letter is not None
    assert letter.body == body


async def test_an_unknown_function_is_handed_back_until_its_grace_is_over(
    redis: ArqRedis, letters: DeadLetters, make_worker: MakeWorker, functions: list[Any]
) -> None:
    await put(redis, "j", "new_function")
    worker = make_worker(functions, burst=False, options=Options(unknown_function_grace_s=0.5))
    async with serving(worker):
        await eventually(lambda: redis.exists(keys.unknown("j")))
        assert await letters.count() == 0
        await eventually(lambda: letters.count())
    letter = await letters.show("j")
    assert letter is not None
    assert letter.reason == "no worker knows the function 'new_function'"
    assert worker.jobs_failed == 1
    assert await redis.keys("arq:unknown:*") == []


async def test_an_unknown_function_runs_once_a_worker_knows_it(
    redis: ArqRedis, letters: DeadLetters, make_worker: MakeWorker, functions: list[Any]
) -> None:
    async def new_function(ctx: Ctx) -> int:
        return int(ctx["job_try"])

    options = Options(unknown_function_grace_s=0.5)
    await put(redis, "j", "new_function")
    async with serving(make_worker(functions, burst=False, options=options)):
        await eventually(lambda: redis.exists(keys.unknown("j")))
    new = make_worker([func(new_function, name="new_function")], burst=False)
    async with serving(new):
        await eventually(lambda: new.jobs_complete == 1)
    assert await letters.count() == 0


async def test_an_aborted_job_is_no_dead_letter(
    redis: ArqRedis, letters: DeadLetters, make_worker: MakeWorker, functions: list[Any]
) -> None:
    await put(redis, "j", "sow")
    await redis.zadd("arq:abort", {"j": 1})
    await make_worker(functions, allow_abort_jobs=True).main()
    assert await letters.count() == 0


async def test_a_stale_abort_ends_with_the_job_it_was_for(redis: ArqRedis, make_worker: MakeWorker) -> None:
    async def again(ctx: Ctx) -> None:
        if ctx["job_try"] == 1:
            await redis.zadd("arq:abort", {"j": 1})
            raise Retry

    await put(redis, "j", "again")
    await make_worker([func(again, name="again")]).main()
    assert await redis.zcard("arq:abort") == 0
