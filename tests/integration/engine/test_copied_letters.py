"""Dead letters that a stock worker's job leaves of itself."""

from __future__ import annotations

import pytest
from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeEither, MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, put
from tests.integration.engine.like_arq import must_enqueue
from worker.engine import AttemptError, DeadLetters, Replayed

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")


async def test_a_stock_worker_can_have_its_job_copied_before_it_fails(redis: ArqRedis, letters: DeadLetters) -> None:
    await redis.enqueue_job("sow", "ü", _job_id="j")
    body = await redis.get("arq:job:j")
    attempts = [AttemptError("a.B", "c", attempt=1)]
    await letters.bury_copy("j", queue=QUEUE, function="sow", reason="why", attempts=attempts, tries=2)
    letter = await letters.show("j")
    assert letter is not None
    assert (letter.body, letter.errors, letter.tries, letter.reason) == (body, tuple(attempts), 2, "why")
    assert await redis.exists("arq:job:j") == 1
    assert await redis.zcard(QUEUE) == 1


async def test_a_failed_job_of_a_stock_worker_that_was_copied_is_replayed_by_ours(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters, stock: MakeEither
) -> None:
    async def fail(ctx: Ctx, who: str) -> None:
        error = ValueError(f"no {who}")
        attempts = [AttemptError.of(error, attempt=ctx["job_try"])]
        copy = DeadLetters(ctx["redis"])
        await copy.bury_copy(ctx["job_id"], queue=QUEUE, function="fail", reason=str(error), attempts=attempts)
        raise error

    async def welcome(ctx: Ctx, who: str) -> str:
        return f"welcome, {who}"

    job = await must_enqueue(redis, "fail", "Ada", _job_id="j")
    await stock([func(fail, name="fail")]).main()
    with pytest.raises(ValueError, match="no Ada"):
        await job.result(poll_delay=0)
    assert [(letter.job_id, letter.reason) async for letter in letters.find()] == [("j", "no Ada")]
    assert await letters.replay("j") is Replayed.REPLAYED
    await make_worker([func(welcome, name="fail")]).main()
    assert await job.result(poll_delay=0) == "welcome, Ada"
    assert await letters.count() == 0


async def test_a_copy_that_makes_older_letters_give_way_says_so(
    redis: ArqRedis, letters: DeadLetters, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(3):
        await put(redis, f"j{number}", "fail")
        await letters.bury_copy(f"j{number}", queue=QUEUE, function="fail", reason="no", most=2)
    assert [letter.job_id async for letter in letters.find()] == ["j2", "j1"]
    assert (await letters.counts())["evicted"] == 1
    assert caplog.messages == ["dead letter 'j0' gave way to newer ones: there may be 2"]
