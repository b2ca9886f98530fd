"""What became of each job, as the outbox, Redis, the ledger and the dead letters tell it together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import text

from noteflow.infrastructure.queue.client import JobClient
from tests.integration.reconcile.looking import ask, enqueue, examined, states
from tests.integration.worker.letters import bury
from tests.integration.worker.stage import Stage, batch, move
from tests.proxy import Proxy
from worker.reconcile import JobState, repair

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from worker.dead_letters import LetterMover


async def test_every_queue_that_the_outbox_names_is_looked_into(stage: Stage, met: UUID, redis: Redis) -> None:
    (asked,) = await ask(stage, redis, batch(met, 0))
    async with stage.engine.begin() as connection:
        await connection.execute(text("UPDATE outbox SET queue = 'arq:other'"))
    await redis.zrem("arq:queue", asked)
    await redis.zadd("arq:other", {asked: 1})
    direct = (await JobClient(redis, queue_name="arq:other").enqueue(batch(met, 1))).job_id
    bare = (await JobClient(redis, queue_name="arq:other").enqueue(batch(met, 2))).job_id
    await redis.delete(f"arq:job:{bare}")
    assert states(await examined(stage, redis)) == {asked: "waiting", direct: "waiting", bare: "missing"}


async def test_each_job_is_said_to_be_where_it_is(stage: Stage, met: UUID, redis: Redis, mover: LetterMover) -> None:
    runs, waits, lost, done = await ask(stage, redis, *(batch(met, place) for place in range(4)))
    async with stage.unit() as uow:
        (unsent,) = await uow.jobs.enqueue(batch(met, 4))
        await uow.commit()
    direct = await enqueue(redis, batch(met, 5))
    await redis.set(f"arq:in-progress:{runs}", "somebody")
    await redis.delete(f"arq:job:{lost}")
    await stage.deliver(batch(met, 3), done)
    await redis.zrem("arq:queue", done)
    await redis.delete(f"arq:job:{done}")
    await stage.deliver(move(met, "STOPPED", 2), "early")
    moved = await bury(redis, batch(met, 6))
    await mover.move_some()
    fresh = await bury(redis, batch(met, 7))

    report = await examined(stage, redis)
    assert states(report) == {
        runs: "running",
        waits: "waiting",
        unsent: "waiting",
        direct: "waiting",
        lost: "missing",
        "early": "parked",
        moved: "dead",
        fresh: "dead",
    }
    assert report.counts == {
        JobState.APPLIED: 1,
        JobState.WAITING: 3,
        JobState.RUNNING: 1,
        JobState.PARKED: 1,
        JobState.DEAD: 2,
        JobState.MISSING: 1,
        JobState.DOUBLED: 0,
    }
    told = {job.job_id: job for job in report.jobs}
    assert told["early"].reason == f"waits for state change 1 of meeting {met}"
    assert told[fresh].reason == told[moved].reason == "refused: because"
    assert told[lost].repairable
    assert all(job.meeting_id == met for job in report.jobs if job.job_id != fresh)
    assert report.has_gaps


async def test_a_job_that_has_lost_its_payload_is_missing_wherever_it_is(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    (kept,) = await ask(stage, redis, batch(met, 0))
    alone = await enqueue(redis, batch(met, 1))
    await redis.delete(f"arq:job:{kept}", f"arq:job:{alone}")
    for job_id in ("moved", "fresh"):
        await bury(redis, batch(met, 2), job_id, reason="its body was missing or had expired")
        await redis.hdel(f"arq:dead:letter:{job_id}", "body")  # type: ignore[misc]
        if job_id == "moved":
            await mover.move_some()

    report = await examined(stage, redis)
    assert states(report) == dict.fromkeys((kept, alone, "moved", "fresh"), "missing")
    assert {job.job_id for job in report.jobs if job.repairable} == {kept}
    reasons = {job.job_id: job.reason for job in report.jobs}
    assert "the next claim takes from the outbox" in reasons[kept]
    assert "only its producer has (its body was missing" in reasons["moved"]
    assert await repair(stage.engine, redis, report) == [kept]
    assert states(await examined(stage, redis))[kept] == "waiting"
    assert await redis.exists(f"arq:job:{kept}")


async def test_what_is_missing_is_enqueued_again_and_then_there_is_no_gap(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    asked = await ask(stage, redis, *(batch(met, place) for place in range(3)))
    await redis.flushall()
    report = await examined(stage, redis)
    assert report.counts[JobState.MISSING] == 3
    assert sorted(await repair(stage.engine, redis, report)) == sorted(asked)
    assert await repair(stage.engine, redis, await examined(stage, redis)) == []
    report = await examined(stage, redis)
    assert states(report) == dict.fromkeys(asked, "waiting")
    assert not report.has_gaps
    for job_id in asked:
        await stage.deliver_body(job_id, await redis.get(f"arq:job:{job_id}"))
    assert await stage.judge.count() == 3


async def test_a_place_in_the_queue_without_a_payload_is_missing_and_beyond_repair(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    job_id = await enqueue(redis, batch(met, 0))
    await redis.delete(f"arq:job:{job_id}")
    report = await examined(stage, redis)
    (job,) = report.jobs
    assert (job.state, job.repairable) == (JobState.MISSING, False)
    assert await repair(stage.engine, redis, report) == []
    assert (await examined(stage, redis)).has_gaps


async def test_a_finished_job_that_waits_again_or_is_kept_as_dead_is_doubled_and_no_gap(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    again, dead = batch(met, 0), batch(met, 1)
    kept = await bury(redis, dead)
    await mover.move_some()
    for command in (again, dead):
        await stage.deliver(command)
    waiting = await enqueue(redis, again)
    report = await examined(stage, redis)
    assert states(report) == {waiting: "doubled", kept: "doubled"}
    assert not report.has_gaps


async def test_a_change_without_a_number_that_is_asked_for_again_is_another_job_and_not_doubled(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    await stage.deliver(move(met, "RECORDING"))
    await stage.deliver(move(met, "STOPPED"))
    direct = await enqueue(redis, move(met, "RECORDING"))
    assert states(await examined(stage, redis)) == {direct: "waiting"}
    await redis.flushall()
    (asked,) = await ask(stage, redis, move(met, "RECORDING"))
    assert states(await examined(stage, redis)) == {asked: "waiting"}


async def test_a_job_that_moves_while_it_is_looked_for_is_not_said_to_be_missing(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    """It ends between the look into the outbox and the look into Redis."""
    asked = await ask(stage, redis, batch(met, 0), batch(met, 1))
    ends, dies = asked

    class Moving:
        """A Redis whose jobs end at the first look."""

        done = False

        def __getattr__(self, name: str) -> Any:
            return getattr(redis, name)

        async def zrange(self, *arguments: Any) -> Any:
            if not self.done:
                self.done = True
                await stage.deliver(batch(met, 0), ends)
                await redis.delete(f"arq:job:{ends}", f"arq:job:{dies}")
                await redis.zrem("arq:queue", ends, dies)
                await stage.judge.ask("UPDATE outbox SET dispatched_at = now() WHERE job_id = $1", dies)
            return await redis.zrange(*arguments)

    report = await examined(stage, Moving())
    assert states(report).get(ends, "applied") == "applied"
    assert report.counts[JobState.APPLIED] == 1
    assert report.counts[JobState.DOUBLED] == 0


async def test_hostile_ids_and_payloads_in_the_queue_stop_nothing(stage: Stage, redis: Redis) -> None:
    await redis.zadd("arq:queue", {b"\xff\xfe": 1, b"a\x00b": 2, b"garbage": 3, b"ingest_segments:": 4})
    await redis.set(b"arq:job:\xff\xfe", b"\x80\x05garbage")
    await redis.set("arq:job:garbage", b"{}")
    report = await examined(stage, redis)
    assert report.counts[JobState.WAITING] == 2
    assert report.counts[JobState.MISSING] == 2


async def test_a_long_queue_is_looked_at_in_pages_up_to_a_bound_and_the_rest_is_said(
    stage: Stage, redis_url: str, redis: Redis
) -> None:
    meeting = uuid4()
    await JobClient(redis).enqueue_many([batch(meeting, place) for place in range(1_200)])
    async with Proxy(redis_url) as proxy, type(redis).from_url(proxy.url) as counted:
        report = await examined(stage, counted, most=1_000)
        assert report.counts[JobState.WAITING] == 1_000
        assert report.not_examined == ["arq:queue has more than 1000 jobs; those that are due first were looked at"]
        assert proxy.round_trips < 15
        assert not {"KEYS", "SCAN"} & set(proxy.commands)
