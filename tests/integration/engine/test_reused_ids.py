"""An id that is enqueued anew: what an earlier job of this id left on its way does nothing to the new one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from arq.connections import ArqRedis
from arq.worker import Retry, func

from noteflow.infrastructure.queue import keys
from tests.integration.engine.conftest import MakeWorker
from tests.integration.engine.jobs import QUEUE, Ctx, abandon, has_no_lease, put, serving
from tests.waiting import eventually
from worker.engine import DeadLetters, Options, Worker, keeper
from worker.engine.dead_letters import Replayed
from worker.engine.scripts import run_script

BRIEF = Options(lease_s=0.05)

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


async def cut_off(redis: Any, worker: Worker) -> None:
    """Let a worker claim the job, and renew its lease no more."""
    await worker.claim(1)
    abandon(worker)
    await eventually(lambda: has_no_lease(redis, "j"))


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


@pytest.mark.parametrize("ending", ["return", "retry", "fail"])
async def test_a_zombie_does_nothing_to_a_job_that_somebody_has_claimed_since_and_lost(
    redis: Any, make_worker: MakeWorker, ending: str
) -> None:
    zombies, others = Hall(), Hall()
    zombies.ending = ending
    others.go.set()
    await put(redis, "j", "stay", 1)
    zombie = make_worker([zombies.function], burst=False, options=BRIEF, keep_result=0)
    await cut_off(redis, zombie)
    await make_worker([others.function], keep_result=0).main()
    assert await redis.exists("arq:job:j") == 0
    await put(redis, "j", "stay", 2)
    others.go.clear()
    victim = make_worker([others.function], burst=False, options=BRIEF)
    await cut_off(redis, victim)
    before = await everything(redis)
    zombies.go.set()
    await asyncio.gather(*zombie.tasks.values())
    assert await everything(redis) == before


async def test_a_zombie_does_not_take_up_again_what_somebody_has_claimed_since_and_lost(
    redis: Any, make_worker: MakeWorker
) -> None:
    hall = Hall()
    await put(redis, "j", "stay")
    zombie, victim = (make_worker([hall.function], burst=False, options=BRIEF) for _ in range(2))
    await zombie.claim(1)
    [claim] = zombie.leases.held
    abandon(zombie)
    await eventually(lambda: has_no_lease(redis, "j"))
    await cut_off(redis, victim)
    before = await everything(redis)
    assert await run_script(redis, "renew", [QUEUE], [10_000, 1, "j", claim.token]) == [b"j"]
    assert await everything(redis) == before


async def test_who_was_cut_off_for_longer_than_his_lease_still_ends_what_nobody_has_claimed_since(
    redis: Any, make_worker: MakeWorker
) -> None:
    hall = Hall()
    await put(redis, "j", "stay")
    worker = make_worker([hall.function], burst=False, options=BRIEF)
    await cut_off(redis, worker)
    hall.go.set()
    await asyncio.gather(*worker.tasks.values())
    assert list(await everything(redis)) == [b"arq:result:j"]


async def test_the_keeper_forgets_who_held_what_a_stock_worker_has_ended(redis: Any, make_worker: MakeWorker) -> None:
    await redis.hset(f"arq:holders:{QUEUE}", mapping={"ended": "w:1", "back": "w:2", "held": "w:3", "lapsed": "w:4"})
    await redis.zadd(QUEUE, {"back": 1_000, "held": 1_000, "lapsed": 1_000.5})
    await redis.zadd(f"arq:leases:{QUEUE}", {"held": 4e12})
    await keeper.keep_bodies(make_worker([Hall().function]))
    assert set(await redis.hkeys(f"arq:holders:{QUEUE}")) == {b"held", b"lapsed"}


async def test_an_abort_is_not_forgotten_with_the_claim_whose_answer_was_cut_off(
    redis: Any, make_worker: MakeWorker
) -> None:
    hall = Hall()
    hall.go.set()
    await put(redis, "j", "stay")
    await redis.zadd(keys.ABORT, {"j": 1})
    lease_ms, look_for_aborts = 10_000, 1
    await run_script(
        redis, "claim", [QUEUE], ["worker:1", lease_ms, 1, 1000, 0, look_for_aborts, 2, 5, 0, 10_000, 1_000_000, 0]
    )
    assert await run_script(redis, "recover", [QUEUE], ["worker:1", lease_ms]) == 1
    worker = make_worker([hall.function], allow_abort_jobs=True)
    await worker.main()
    assert (worker.jobs_complete, worker.jobs_failed) == (0, 1)
    assert await redis.exists(keys.ABORT) == 0


async def test_what_was_enqueued_under_a_claim_that_was_cut_off_keeps_its_time(redis: Any) -> None:
    # Only what had no body any more can be.
    await redis.zadd(QUEUE, {"j": 1_000})
    lease_ms = 10_000
    await run_script(redis, "claim", [QUEUE], ["worker:1", lease_ms, 1, 1000, 0, 0, 2, 5, 0, 10_000, 1_000_000, 0])
    await redis.enqueue_job("stay", _job_id="j", _defer_by=5)
    due = await redis.zscore(QUEUE, "j")
    assert await run_script(redis, "recover", [QUEUE], ["worker:1", lease_ms]) == 1
    assert await redis.zscore(QUEUE, "j") == due
    assert await redis.exists("arq:in-progress:j") == 0


async def test_a_letter_is_not_replayed_under_a_claim_of_its_id(redis: Any, letters: DeadLetters) -> None:
    await put(redis, "j", "stay")
    await letters.bury_copy("j", queue=QUEUE, function="stay", reason="no")
    await redis.delete("arq:job:j")
    await run_script(redis, "claim", [QUEUE], ["worker:1", 10_000, 1, 1000, 0, 0, 2, 5, 0, 10_000, 1_000_000, 0])
    # This claim ends as a letter, for want of a body: it would take the one that was replayed along.
    assert await letters.replay("j") is Replayed.QUEUED
