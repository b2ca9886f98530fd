"""An id that is enqueued anew: what an earlier job of this id left on its way does nothing to the new one."""

from __future__ import annotations

import asyncio
from typing import Any

from arq.connections import ArqRedis
from arq.worker import Retry, func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import Ctx, serving
from tests.waiting import eventually


class Hall:
    """Where jobs stay until they are told how to end."""

    def __init__(self) -> None:
        self.go: asyncio.Event = asyncio.Event()
        self.ending = ""

    @property
    def function(self) -> Any:
        async def stay(ctx: Ctx, number: int = 1) -> None:
            await self.go.wait()
            if self.ending == "retry":
                raise Retry
            if self.ending == "fail":
                raise ValueError

        return func(stay, name="stay")


async def test_a_body_does_not_expire_under_a_job_that_runs(redis: ArqRedis, make_worker: MakeWorker) -> None:
    # Its id would be free for a new job, which the end of this one would take away unseen.
    hall = Hall()
    await redis.enqueue_job("stay", _job_id="j", _expires=60)
    worker = make_worker([hall.function], burst=False)
    async with serving(worker):
        await eventually(lambda: worker.job_counter == 1)
        assert await redis.ttl("arq:job:j") == -1
        assert await redis.enqueue_job("stay", _job_id="j") is None
        hall.go.set()
        await eventually(lambda: worker.jobs_complete == 1)
    assert await redis.exists("arq:job:j") == 0
