"""Bodies longer than a job may be: measured, not fetched, and kept within a limit."""

from __future__ import annotations

from arq.connections import ArqRedis

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, body, put, serving
from tests.integration.engine.poison import fine, is_letter
from tests.waiting import eventually
from worker.engine import DeadLetters, Options, Replayed
from worker.engine.wire import BODY_KEPT_BYTES


async def test_a_body_over_the_limit_is_never_sent_and_the_next_job_runs(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    long = body("fine", "x" * (BODY_KEPT_BYTES + 1_000_000))
    await redis.set("arq:job:long", long)
    await redis.zadd(QUEUE, {"long": 1})
    sent = (await redis.info("stats"))["total_net_output_bytes"]
    worker = make_worker([fine], burst=False, options=Options(max_body_bytes=10_000))
    async with serving(worker):
        await put(redis, "good", "fine")
        await eventually(lambda: redis.exists("arq:result:good"))
        await eventually(lambda: is_letter(redis, "long"))
    assert (await redis.info("stats"))["total_net_output_bytes"] - sent < 1_000_000
    letter = await letters.show("long")
    assert letter is not None
    assert letter.reason == f"the body cannot be read: it is {len(long)} bytes, and a job may carry 10000 at most"
    assert (letter.function, letter.body) == ("fine", None)
    assert await redis.hget("arq:dead:letter:long", "body_bytes") == str(len(long)).encode()  # type: ignore[misc]
    assert await letters.replay("long") is Replayed.EMPTY


async def test_a_body_a_little_over_the_limit_is_kept_whole(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    written = body("fine", "x" * 20_000)
    await redis.set("arq:job:long", written)
    await redis.zadd(QUEUE, {"long": 1})
    await make_worker([fine], options=Options(max_body_bytes=10_000)).main()
    letter = await letters.show("long")
    assert letter is not None
    assert letter.body == written


async def test_errors_longer_than_ours_are_not_carried_along(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters
) -> None:
    told = b'{"error":"E","message":"m","at_ms":1}'
    await redis.rpush("arq:errors:j", b'"' + b"x" * 100_000 + b'"', b'}],"', told, b"x" * 100_000)  # type: ignore[misc]
    await redis.set("arq:retry:j", 100)
    await put(redis, "j", "fine")
    await make_worker([fine]).main()
    letter = await letters.show("j")
    assert letter is not None
    assert [each.error for each in letter.errors] == ["E", "arq.worker.JobExecutionFailed"]
