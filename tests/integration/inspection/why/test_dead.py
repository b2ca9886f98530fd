"""Dead letters, and what a failure leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from noteflow.infrastructure.queue.codec import serialize
from tests.integration.inspection.ground import SECRET
from tests.integration.inspection.why.arranged import with_result
from tests.integration.inspection.why.asking import says

if TYPE_CHECKING:
    from tests.integration.inspection.ground import Ground

UNREADABLE = "the body cannot be read: neither JSON, msgpack nor a pickle: begins with byte 00"
NEWER = "_version: 1 is the newest this worker knows; upgrade the workers, then replay the job"
MALFORMED = "et: the time of enqueueing must be in unix milliseconds"


async def test_dead_in_redis(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.bury(job_id, "refused: segment 0 differs")
    await says(
        ground,
        job_id,
        "dead",
        "because refused: segment 0 differs; a replay helps only",
        command="jobs dead replay --edit",
    )


async def test_dead_in_postgresql(ground: Ground) -> None:
    await ground.store_letter("job-1", "premature: meeting never came")
    await says(ground, "job-1", "dead", "because premature: meeting", command="jobs dead replay")


async def test_dead_of_a_foreign_error(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.bury(job_id, f"ValueError: {SECRET}")
    await says(ground, job_id, "dead", "because ValueError", command="jobs dead replay")


async def buried_with(ground: Ground, body: bytes, reason: str) -> str:
    await ground.redis.set("arq:job:job-1", body)
    await ground.bury("job-1", reason)
    return "job-1"


async def test_dead_and_unreadable(ground: Ground) -> None:
    await says(
        ground,
        await buried_with(ground, b"\x00", UNREADABLE),
        "dead",
        UNREADABLE,
        "a replay does not help",
        command="jobs dead drop",
    )


async def test_dead_and_malformed(ground: Ground) -> None:
    body = serialize(ground.payload(et=None))
    await says(
        ground,
        await buried_with(ground, body, f"malformed, {MALFORMED}"),
        "dead",
        MALFORMED,
        "mended first",
        command="jobs dead replay --edit",
    )


async def test_dead_of_a_newer_version(ground: Ground) -> None:
    body = serialize(ground.payload(k={"_version": 2}))
    await says(
        ground,
        await buried_with(ground, body, f"refused: {NEWER}"),
        "dead",
        "then replay the job; until then it",
        command="jobs workers",
    )


async def test_dead_of_a_version_known_by_now(ground: Ground) -> None:
    await says(
        ground,
        await buried_with(ground, serialize(ground.payload()), f"refused: {NEWER}"),
        "dead",
        "this version knows it",
        command="jobs dead replay job-1",
    )


async def test_dead_of_an_unknown_function(ground: Ground) -> None:
    await says(
        ground,
        await buried_with(ground, serialize(ground.payload(f="later")), "no worker knows the function 'later'"),
        "dead",
        "the function 'later'",
        "only once a worker",
        command="jobs dead drop",
    )


async def test_dead_of_a_function_that_is_no_name(ground: Ground) -> None:
    body = serialize(ground.payload(f=f"x {SECRET}"))
    await says(
        ground,
        await buried_with(ground, body, f"no worker knows the function 'x {SECRET}'"),
        "dead",
        "no worker knows the function ‹",
        command="jobs dead drop",
    )


async def test_dead_without_payload(ground: Ground) -> None:
    await ground.redis.zadd("arq:queue", {"job-1": 1})
    await ground.bury("job-1", "its body was missing or had expired")
    await says(ground, "job-1", "dead", "had expired", "no payload is left", command="jobs dead drop")


async def test_died_after_it_was_applied(ground: Ground) -> None:
    await ground.store_ending("job-1")
    await ground.store_letter("job-1", "refused: other content")
    await says(ground, "job-1", "dead", "because refused", command="jobs dead replay")


async def test_failed(ground: Ground) -> None:
    await says(
        ground,
        await with_result(ground, False, ValueError(SECRET)),
        "failed",
        "failed at",
        "ValueError",
        command="jobs dead ls",
    )
