"""Jobs that a worker holds, or held."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from tests.integration.inspection.ground import WORKER
from tests.integration.inspection.why.arranged import lease_over, running, worker_lost, worker_silent
from tests.integration.inspection.why.asking import says

if TYPE_CHECKING:
    from tests.integration.inspection.ground import Ground


async def test_running(ground: Ground) -> None:
    await says(
        ground,
        await running(ground),
        "running",
        "It runs since",
        "(1 min 3",
        f"held by worker {WORKER}",
        "last beat 4",
        "ended a job 4",
        command="check",
    )


async def test_running_again(ground: Ground) -> None:
    job_id = await running(ground)
    for said in ("others were first", "and again"):
        told = {"error": "noteflow.domain.errors.ConcurrencyConflict", "message": said, "at_ms": 1}
        await ground.redis.rpush(f"arq:errors:{job_id}", msgspec.json.encode(told))
    await says(ground, job_id, "running", "2 attempts failed, the last with Conc", "and again", command="check")


async def test_running_after_a_crash(ground: Ground) -> None:
    job_id = await running(ground)
    await ground.redis.set(f"arq:crashes:{job_id}", 1)
    lost = {"error": "worker.engine.losses.WorkerDied", "message": "its lease ran out", "at_ms": 1, "worker": "vm:7:ab"}
    await ground.redis.rpush(f"arq:errors:{job_id}", msgspec.json.encode(lost))
    await says(ground, job_id, "running", "1 worker died running it before (vm:7:ab).", command="check")


async def test_worker_silent(ground: Ground) -> None:
    await says(
        ground, await worker_silent(ground), "worker_silent", "silent", "last beat 20 s ago", command="jobs workers"
    )


async def test_worker_lost(ground: Ground) -> None:
    await says(
        ground,
        await worker_lost(ground),
        "worker_lost",
        "no record any more",
        "another claims it",
        command="jobs workers",
    )


async def test_held_by_stock_arq(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.redis.set(f"arq:in-progress:{job_id}", b"1", px=60_000)
    await says(ground, job_id, "running", "a stock Arq worker", command="check")


async def test_held_by_an_operator(ground: Ground) -> None:
    job_id = await ground.enqueue()
    await ground.claim(job_id, "operator:ada:1")
    await says(ground, job_id, "operator", "an operator's command")


async def test_lease_over(ground: Ground) -> None:
    await says(ground, await lease_over(ground), "lease_over", "never ended", "due again")


async def test_lease_over_of_a_job_in_quarantine(ground: Ground) -> None:
    job_id = await lease_over(ground)
    await ground.redis.set(f"arq:crashes:{job_id}", 1)  # the last death is counted with the next claim
    await says(
        ground,
        job_id,
        "lease_over",
        "It is in quarantine: its lease has lapsed 2 times",
        "it runs alone in a worker",
        command="jobs work",
    )
