"""What a job failed of stays with it until it ends: its next run and its dead letter are told."""

from __future__ import annotations

import asyncio
import signal
import time
from typing import Any

from arq.connections import ArqRedis
from arq.worker import Retry, func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, body, now_ms, put, serving
from tests.waiting import eventually
from worker.engine import AttemptError, DeadLetters, HandBack, Refused
from worker.engine.verdicts import error_lines

FIRST, SECOND = (AttemptError("db.Away", said, 7, attempt=number, worker="w") for number, said in enumerate("ab", 1))


async def test_all_that_a_claim_failed_of_is_told_to_the_next_run_and_to_the_dead_letter(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    told: list[Any] = []

    async def outlast(ctx: Ctx) -> None:
        told.append(ctx.get("earlier_errors"))
        if len(told) == 1:
            raise HandBack(0.01, "unavailable", attempts=[FIRST, SECOND])
        if len(told) == 2:
            raise HandBack(0.01, "odd") from ValueError("three\nlines\nof it")
        raise Refused("that was it")

    await put(redis, "j", "outlast")
    worker = make_worker([func(outlast, name="outlast")])
    await worker.main()
    third = AttemptError("builtins.ValueError", "three\nlines\nof it", told[2][-1].at_ms, 1, worker.worker_id)
    assert told == [None, (FIRST, SECOND), (FIRST, SECOND, third)]
    letter = await letters.show("j")
    assert letter is not None
    assert letter.errors[:3] == (FIRST, SECOND, third)
    assert await redis.exists("arq:errors:j", "arq:retry:j") == 0


async def test_a_try_that_counts_is_told_of_with_its_true_error(redis: ArqRedis, make_worker: MakeWorker) -> None:
    told: list[Any] = []

    async def struggle(ctx: Ctx) -> None:
        told.append(ctx.get("earlier_errors"))
        if ctx["job_try"] == 1:
            raise Retry from KeyError("x")

    await put(redis, "j", "struggle")
    worker = make_worker([func(struggle, name="struggle")])
    await worker.main()
    assert told[0] is None
    assert [(each.error, each.attempt, each.worker) for each in told[1]] == [("builtins.KeyError", 1, worker.worker_id)]
    assert await redis.exists("arq:errors:j", "arq:retry:j") == 0


async def test_a_deploy_in_between_does_not_lose_them(redis: ArqRedis, make_worker: MakeWorker) -> None:
    told: list[Any] = []
    stopped = asyncio.Event()

    async def work(ctx: Ctx) -> None:
        told.append(ctx.get("earlier_errors"))
        if len(told) == 1:
            raise HandBack(0.01, "unavailable", attempts=[FIRST])
        if len(told) == 2:
            await stopped.wait()

    await put(redis, "j", "work")
    worker = make_worker([func(work, name="work")], burst=False)
    main = asyncio.create_task(worker.async_run())
    await eventually(lambda: len(told) == 2)
    worker.handle_sig(signal.SIGTERM)
    await asyncio.gather(main, return_exceptions=True)
    await worker.close()
    await make_worker([func(work, name="work")]).main()
    assert told == [None, (FIRST,), (FIRST,)]


async def test_a_worker_that_died_is_among_them(redis: ArqRedis, make_worker: MakeWorker) -> None:
    told: list[Any] = []

    async def work(ctx: Ctx) -> None:
        told.append(ctx.get("earlier_errors"))

    await redis.set("arq:job:j", body("work"))
    await redis.zadd(QUEUE, {"j": now_ms() - 5_000 + 0.5})  # as a claim leaves it that was never ended
    known: Any = redis.rpush("arq:errors:j", error_lines([FIRST]), b"no JSON")
    await known
    await make_worker([func(work, name="work")]).main()
    (errors,) = told
    assert errors[0] == FIRST
    assert [each.error.rpartition(".")[2] for each in errors[1:]] == ["WorkerDied"]
    assert 14 < time.time() - errors[1].at_ms / 1000 < 60  # its lease of 10 s ended 5 s ago


async def test_errors_of_a_job_are_bounded(redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters) -> None:
    async def struggle(ctx: Ctx) -> None:
        if ctx["job_id"] not in before:
            raise Refused("enough")
        raise HandBack from ValueError("x" * 10_000)

    before = {"j"}
    await put(redis, "j", "struggle")
    worker = make_worker([func(struggle, name="struggle")], burst=False)
    async with serving(worker):
        await eventually(lambda: worker.jobs_retried > 30)
        before.clear()
        await eventually(lambda: letters.count())
    letter = await letters.show("j")
    assert letter is not None
    assert len(letter.errors) == 21
    assert len(letter.errors[0].message) == 2000
