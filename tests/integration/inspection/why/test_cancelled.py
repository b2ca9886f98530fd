"""Jobs that an operator or their producer gave up."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING

from noteflow.infrastructure.queue.codec import serialize
from tests.integration.inspection.why.arranged import deferred, parked, running, with_result, worker_lost, worker_silent
from tests.integration.inspection.why.asking import says
from worker.inspection.acts import Act, record
from worker.inspection.steering import Steering, Verb

if TYPE_CHECKING:
    from tests.integration.inspection.ground import Ground


async def cancel(ground: Ground, job_id: str) -> None:
    assert (await Steering(ground.sources, "ada").act(Verb.CANCEL, job_id)).done


async def test_cancelled(ground: Ground) -> None:
    job_id = await ground.enqueue()
    assert (await Steering(ground.sources, "ada", "wrong tenant").act(Verb.CANCEL, job_id)).done
    await says(ground, job_id, "dead", "because cancelled by ada: wrong tenant", command="jobs dead replay")


async def test_cancelled_and_looked_at(ground: Ground) -> None:
    job_id = await running(ground)
    await cancel(ground, job_id)
    await record(ground.sources, [Act("reveal", "bob", job_id=job_id)])
    await says(
        ground, job_id, "running", "and ada has cancelled it at", "a copy is among the dead letters", command="check"
    )


async def test_cancelled_of_a_silent_worker(ground: Ground) -> None:
    job_id = await worker_silent(ground)
    await cancel(ground, job_id)
    await says(ground, job_id, "worker_silent", "ada has cancelled it at", "its lease ends", command="jobs workers")


async def cancelled_of_a_lost_worker(ground: Ground) -> str:
    job_id = await worker_lost(ground)
    await cancel(ground, job_id)
    return job_id


async def test_cancelled_of_a_lost_worker(ground: Ground) -> None:
    await says(
        ground,
        await cancelled_of_a_lost_worker(ground),
        "worker_lost",
        "cancelled it at",
        "then the next claim ends it",
        command="jobs workers",
    )


async def cancelled_of_a_killed_worker(ground: Ground) -> str:
    job_id = await cancelled_of_a_lost_worker(ground)
    await ground.worker("host:2:abcd")
    await ground.redis.delete(f"arq:in-progress:{job_id}")
    return job_id


async def test_cancelled_of_a_killed_worker(ground: Ground) -> None:
    await says(
        ground,
        await cancelled_of_a_killed_worker(ground),
        "abort_marked",
        "was cancelled by ada at",
        "a retry does so at once",
        command="jobs ret",
    )


async def test_cancelled_and_due(ground: Ground) -> None:
    job_id = await cancelled_of_a_killed_worker(ground)
    await ground.redis.zadd("arq:queue", {job_id: 1})
    await says(
        ground,
        job_id,
        "abort_marked",
        "was cancelled by ada at",
        "the next claim ends it; a copy is among the dead letters.",
    )


async def test_aborted_after_it_was_replayed(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await cancel(ground, job_id)
    assert (await Steering(ground.sources, "ada").act(Verb.RETRY, job_id)).done
    await says(ground, await abort_marked(ground), "abort_marked", "its producer has aborted it")


async def abort_marked(ground: Ground) -> str:
    await ground.worker()
    job_id = await ground.enqueue()
    await ground.redis.zadd("arq:abort", {job_id: 1})
    return job_id


async def test_abort_marked(ground: Ground) -> None:
    await says(ground, await abort_marked(ground), "abort_marked", "the next claim ends it")


async def test_abort_marked_long_before_it_is_due(ground: Ground) -> None:
    job_id = await deferred(ground)
    await ground.redis.zadd("arq:abort", {job_id: 1})
    await says(ground, job_id, "abort_marked", "in 1 h", "at once", command="jobs retry")


async def test_aborted(ground: Ground) -> None:
    await says(ground, await with_result(ground, False, asyncio.CancelledError()), "aborted", "was aborted at")


async def test_dropped(ground: Ground) -> None:
    await ground.store_letter("job-1")
    assert (await Steering(ground.sources, "ada").act(Verb.DROP, "job-1")).done
    await says(ground, "job-1", "dropped", "was dropped by ada", command="jobs dead show")


async def test_dropped_while_parked(ground: Ground) -> None:
    job_id = await parked(ground)
    now_ms = int(time.time() * 1000)
    parking = {"t": 1, "f": "change_meeting_state", "a": [], "k": {}, "et": now_ms, "s": True, "st": now_ms,
               "r": {"outcome": "parked"}, "ft": now_ms, "q": "arq:queue", "id": job_id}  # fmt: skip
    await ground.redis.set(f"arq:result:{job_id}", serialize(parking))
    assert (await Steering(ground.sources, "ada", "of no use").act(Verb.DROP, job_id)).done
    await says(ground, job_id, "dropped", "dropped by ada at", "will not run: of no use")


async def test_dropped_while_it_waited(ground: Ground) -> None:
    job_id = await ground.enqueue()
    assert (await Steering(ground.sources, "ada").act(Verb.DROP, job_id)).done
    await says(ground, job_id, "dropped", "dropped by ada at", "will not run.")
