"""What a start hook takes is not taken from its job."""

from __future__ import annotations

import asyncio

from arq.connections import ArqRedis
from arq.worker import func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import Ctx, put


async def test_the_time_of_a_start_hook_is_not_counted_against_the_lease_of_its_job(
    redis: ArqRedis, make_worker: MakeWorker
) -> None:
    deadlines: list[float] = []

    async def note(ctx: Ctx) -> None:
        (claim,) = worker.leases.held
        assert claim.deadline_s is not None
        deadlines.append(claim.deadline_s)

    async def prepare(ctx: Ctx) -> None:
        await note(ctx)
        await asyncio.sleep(0.1)

    await put(redis, "j", "note")
    worker = make_worker([func(note, name="note", timeout=30)], on_job_start=prepare)
    await worker.main()
    in_hook, in_job = deadlines
    assert in_job - in_hook >= 0.1
