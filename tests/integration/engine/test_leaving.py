"""Going back to Arq as docs/engine.md says: whatever waits is done, and nothing of ours is left."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.cron import cron
from arq.jobs import Job
from arq.worker import Retry, func

from tests.integration.engine.conftest import MakeEither, MakeWorker
from tests.integration.engine.jobs import Ctx
from tests.integration.engine.like_arq import must_enqueue
from tests.waiting import eventually
from worker.engine import DeadLetters, HandBack, Options, Replayed

pytestmark = pytest.mark.filterwarnings("ignore:Call to deprecated close:DeprecationWarning")

DOCS = Path(__file__).parents[3] / "docs/engine.md"


class Service:
    """Jobs that get nowhere until its workers are Arq's."""

    def __init__(self) -> None:
        self.left = False
        self.tries: dict[str, list[int]] = {}

    @property
    def functions(self) -> list[Any]:
        return [func(f, name=f.__name__) for f in (self.long, self.retry, self.wait, self.fail, self.done)]

    def _note(self, ctx: Ctx) -> None:
        self.tries.setdefault(ctx["job_id"], []).append(ctx["job_try"])

    async def long(self, ctx: Ctx) -> None:
        self._note(ctx)
        if not self.left:
            await asyncio.Event().wait()

    async def retry(self, ctx: Ctx) -> None:
        self._note(ctx)
        if not self.left:
            raise Retry(defer=0.01 if ctx["job_try"] == 1 else 3600)

    async def wait(self, ctx: Ctx) -> None:
        self._note(ctx)
        if not self.left:
            raise HandBack(3600, "away")

    async def fail(self, ctx: Ctx) -> None:
        self._note(ctx)
        if not self.left:
            raise ValueError("no good")

    async def done(self, ctx: Ctx) -> None: ...


async def test_who_leaves_as_the_page_says_leaves_nothing_undone_and_nothing_behind(
    redis: ArqRedis, make_worker: MakeWorker, letters: DeadLetters, stock: MakeEither
) -> None:
    service = Service()
    names = ("long", "retry", "wait", "fail", "done", "unknown")
    jobs: dict[str, Job] = {name: await must_enqueue(redis, name, _job_id=name) for name in names}
    await redis.hset("arq:paused", "function:done", "look first")  # type: ignore[misc]
    tick = cron(service.done, name="tick", hour=1, run_at_startup=True, keep_result=60)
    worker = make_worker(service.functions, burst=False, cron_jobs=[tick], options=Options(lease_s=0.6))
    main = asyncio.create_task(worker.async_run())
    await eventually(lambda: service.tries == {"long": [1], "retry": [1, 2], "wait": [1], "fail": [1]})
    for key in ("arq:shelves:arq:queue", "arq:dead:letter:fail", "arq:unknown:unknown"):
        await eventually(lambda key=key: redis.exists(key))  # type: ignore[misc]

    # Resume what is paused, and wait until no `arq:shelves:*` is left.
    await redis.hdel("arq:paused", "function:done")  # type: ignore[misc]
    await eventually(lambda: _none(redis, "arq:shelves:*"))
    # Stop our workers.
    await worker.close()
    await asyncio.gather(main, return_exceptions=True)
    # Replay the dead letters; then the keys that the page names may be deleted.
    assert await letters.replay("fail") is Replayed.REPLAYED
    for pattern in _keys_that_may_be_deleted():
        for key in await redis.keys(pattern):
            await redis.delete(key)
    left = {key.decode().split(":")[1] for key in await redis.keys("*")}
    assert left <= {"queue", "job", "retry", "result", "in-progress"}

    # Start Arq's.
    service.left = True
    now = min([score for _, score in await redis.zrange("arq:queue", 0, -1, withscores=True)])
    await redis.zadd("arq:queue", dict.fromkeys(("retry", "wait", "unknown"), now), xx=True)
    await stock([*service.functions, func(service.done, name="unknown")]).main()
    assert [await job.result(poll_delay=0) for job in jobs.values()] == [None] * len(jobs)
    assert service.tries == {"long": [1, 1], "retry": [1, 2, 3], "wait": [1, 1], "fail": [1, 1]}
    assert await redis.zcard("arq:queue") == 0


async def _none(redis: ArqRedis, pattern: str) -> bool:
    return not await redis.keys(pattern)


def _keys_that_may_be_deleted() -> list[str]:
    section = DOCS.read_text().partition("## How to leave")[2].partition("\n## ")[0]
    told = section.partition("first; then ")[2].partition(" may be deleted")[0]
    keys = re.findall(r"`(arq:[^`]+)`", told)
    assert "arq:dead:*" in keys
    return keys
