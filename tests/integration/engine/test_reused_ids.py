"""An id that is enqueued anew: what an earlier job of this id left on its way does nothing to the new one."""

from __future__ import annotations

import asyncio
from typing import Any

from arq.connections import ArqRedis
from arq.worker import Retry, func

from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, put, serving
from tests.waiting import eventually
from worker.engine.scripts import run_script

# One job of a cron function, whose lease stays for a minute: queue, id, token, life of the result, stay, result.
CRON_END = (1, "j", "worker:1", -1, 60_000, b"")


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


async def everything(redis: Any) -> dict[bytes, Any]:
    """Return all that Redis holds, but for what workers say of themselves."""
    names = [name for name in await redis.keys("*") if not name.startswith(b"arq:worker")]
    return {name: await redis.dump(name) for name in names}


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


async def test_the_end_of_a_cron_job_that_is_said_twice_does_not_end_the_next_of_its_id(redis: Any) -> None:
    await put(redis, "j", "tick")
    await redis.set("arq:in-progress:j", "worker:1")
    assert await run_script(redis, "finish", [QUEUE], CRON_END) == [1]
    await put(redis, "j", "tick")
    before = await everything(redis)
    assert await run_script(redis, "finish", [QUEUE], CRON_END) == [2]
    assert await everything(redis) == before


async def test_the_lease_of_a_cron_job_that_has_ended_is_not_renewed(redis: Any) -> None:
    await put(redis, "j", "tick")
    await redis.set("arq:in-progress:j", "worker:1")
    await run_script(redis, "finish", [QUEUE], CRON_END)
    assert await run_script(redis, "renew", [QUEUE], [10_000, 1, "j", "worker:1"]) == []
    assert await redis.pttl("arq:in-progress:j") > 50_000
    assert await redis.keys("*") == [b"arq:in-progress:j"]
