"""What became of each job, as the outbox, Redis, the ledger and the dead letters tell it together."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid4

from sqlalchemy import text

from noteflow.infrastructure.queue.client import JobClient
from noteflow.infrastructure.queue.dispatch import Dispatcher
from tests.integration.worker.letters import bury
from tests.integration.worker.stage import Stage, batch, move
from tests.proxy import Proxy
from worker.outbox.dispatching import dispatch_due
from worker.reconcile import JobState, Report, examine, repair

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from noteflow.domain.commands import Command
    from worker.dead_letters import LetterMover


async def ask(stage: Stage, redis: Redis, *commands: Command) -> list[str]:
    """Ask for commands through the outbox, and let the relay give them to Redis."""
    async with stage.unit() as uow:
        job_ids = [job_id for command in commands for job_id in await uow.jobs.enqueue(command)]
        await uow.commit()
    await dispatch_due(stage.engine, Dispatcher(redis))
    return job_ids


async def enqueue(redis: Redis, command: Command, job_id: str | None = None) -> str:
    """Enqueue as a producer does who has no outbox."""
    return (await JobClient(redis).enqueue(command, job_id=job_id)).job_id


async def examined(stage: Stage, redis: Any, **more: Any) -> Report:
    since = datetime.now(UTC) - timedelta(hours=24)
    return await examine(stage.engine, redis, "arq:queue", since=since, **more)


def states(report: Report) -> dict[str, str]:
    return {job.job_id: job.state.value for job in report.jobs}


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
    for command in (again, dead):
        await stage.deliver(command)
    waiting = await enqueue(redis, again)
    kept = await bury(redis, dead)
    await mover.move_some()
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


async def test_for_one_meeting_every_job_is_told_and_no_other_meetings(stage: Stage, met: UUID, redis: Redis) -> None:
    other = await stage.judge.new_meeting()
    await stage.deliver(batch(met, 0), "done")
    await stage.deliver(batch(other, 0), "done elsewhere")
    mine = await enqueue(redis, batch(met, 1))
    foreign = await enqueue(redis, batch(met, 2), "with an id of its own")
    await enqueue(redis, batch(other, 1))
    await ask(stage, redis, batch(other, 2))
    report = await examined(stage, redis, meeting_id=met)
    assert states(report) == {"done": "applied", mine: "waiting", foreign: "waiting"}
    assert report.counts[JobState.APPLIED] == 1


async def test_numbered_batches_that_nobody_has_are_named_apart_from_those_on_their_way(
    stage: Stage, met: UUID, redis: Redis, mover: LetterMover
) -> None:
    await stage.deliver(move(met, "RECORDING", 1))
    await stage.deliver(move(met, "STOPPED", 2, expected_batches=7))
    await stage.deliver(batch(met, 10, batch=1))
    await ask(stage, redis, batch(met, 20, batch=2))
    await enqueue(redis, batch(met, 30, batch=3))
    await bury(redis, batch(met, 40, batch=4))
    await mover.move_some()
    await stage.deliver(batch(met, 50, batch=6))

    (finding,) = (await examined(stage, redis)).batches
    assert (finding.meeting_id, finding.expected) == (met, 7)
    assert (finding.missing, finding.dead, finding.on_the_way) == ([4, 5, 7], [4], [2, 3])


async def test_without_a_number_of_expected_batches_those_below_the_highest_are_missed(
    stage: Stage, met: UUID, redis: Redis
) -> None:
    for number in (1, 2, 5):
        await stage.deliver(batch(met, number * 10, batch=number))
    whole = await stage.judge.new_meeting()
    await stage.deliver(batch(whole, 0, batch=1))
    (finding,) = (await examined(stage, redis)).batches
    assert (finding.meeting_id, finding.expected, finding.missing) == (met, None, [3, 4])
    assert (await examined(stage, redis, meeting_id=whole)).batches == []


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
